/* REINFORCE in C, as a program that pgcheck checks.

     cc -O2 -o reinforce examples/programs/reinforce.c
     pgcheck verify 'cmd:./reinforce'
     pgcheck verify 'cmd:./reinforce undiscounted'    without gamma^t: it is named

   The first line that comes is the header of a model, then each line is a batch of episodes; another header may
   follow at any time. A batch is answered with one line: a list of gradients, one an episode.

   For a softmax with a preference for each state and action, d log pi(a|s) / d theta(s, b) is 1{a = b} - pi(b|s). So
   this is right for the models' own policies, unless states look alike to them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list { double *value; int length, room; };

/* Reads the numbers after a key, however they are nested; returns where the list ends. */
static char *read_list(char *text, const char *key, struct list *into)
{
  int depth = 0;
  text = strchr(strstr(text, key), '[');
  into->length = 0;
  do {
    if (*text == '[') depth++, text++;
    else if (*text == ']') depth--, text++;
    else if (*text == ',' || *text == ' ') text++;
    else {
      if (into->length == into->room) {
        into->room = 2 * into->room + 16;
        into->value = realloc(into->value, into->room * sizeof(double));
      }
      into->value[into->length++] = strtod(text, &text);
    }
  } while (depth);
  return text;
}

static double read_number(char *text, const char *key)
{
  return strtod(strstr(text, key) + strlen(key), NULL);
}

int main(int argc, char **argv)
{
  int undiscounted = argc > 1 && strcmp(argv[1], "undiscounted") == 0;
  struct list probs = {0}, states = {0}, actions = {0}, rewards = {0};
  double gamma = 1, *gradient = NULL;
  int num_actions = 0;
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    if (strstr(line, "\"pgcheck\":")) {
      gamma = read_number(line, "\"gamma\":");
      num_actions = read_number(line, "\"num_actions\":");
      read_list(line, "\"probs\":", &probs);
      gradient = realloc(gradient, probs.length * sizeof(double));
      continue;
    }
    const char *separator = "[[";
    for (char *at = line; strstr(at, "\"states\":"); separator = ", [") {
      at = read_list(at, "\"states\":", &states);
      at = read_list(at, "\"actions\":", &actions);
      at = read_list(at, "\"rewards\":", &rewards);
      memset(gradient, 0, probs.length * sizeof(double));
      double reward_to_go = 0;
      for (int t = actions.length - 1; t >= 0; t--) {
        int row = num_actions * (int)states.value[t];
        reward_to_go = rewards.value[t] + gamma * reward_to_go;
        double weight = reward_to_go;
        if (!undiscounted)
          for (int k = 0; k < t; k++) weight *= gamma;
        for (int b = 0; b < num_actions; b++)
          gradient[row + b] += weight * ((b == actions.value[t]) - probs.value[row + b]);
      }
      /* A parameter stands for each action that a state has: elsewhere the probability is 0. */
      for (int k = 0; k < probs.length; k++)
        if (probs.value[k] > 0) printf("%s%.17g", separator, gradient[k]), separator = ", ";
      printf("]");
    }
    printf("]\n");
    fflush(stdout);
  }
}
