"""The known mistakes: names (`ids`), weights (`weights`), and what is to be said of each (`catalogue`)."""
