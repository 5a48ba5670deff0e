// REINFORCE in JavaScript, as a program that pgcheck checks.
//
//   pgcheck verify 'cmd:node examples/programs/reinforce.js'
//   pgcheck verify 'cmd:node examples/programs/reinforce.js undiscounted'   # without gamma^t: it is named
//
// The first line that comes is the header of a model, then each line is a batch of episodes; another header may follow
// at any time. A batch is answered with one line: a list of gradients, one an episode.
//
// For a softmax with a preference for each state and action, d log pi(a|s) / d theta(s, b) is 1{a = b} - pi(b|s). So
// this is right for the models' own policies, unless states look alike to them.

const undiscounted = process.argv[2] === "undiscounted";
let header;

function gradient({ states, actions, rewards }) {
  const { gamma, probs } = header;
  const table = probs.map((row) => row.map(() => 0));
  let rewardToGo = 0;
  for (let t = actions.length - 1; t >= 0; t--) {
    rewardToGo = rewards[t] + gamma * rewardToGo;
    const weight = undiscounted ? rewardToGo : gamma ** t * rewardToGo;
    probs[states[t]].forEach((pi, b) => {
      table[states[t]][b] += weight * ((b === actions[t] ? 1 : 0) - pi);
    });
  }
  // A parameter stands for each action that a state has: where it ends, or lacks an action, the probability is 0.
  return table.flatMap((row, s) => row.filter((_, b) => probs[s][b] > 0));
}

const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const message = JSON.parse(line);
  if (message.pgcheck) header = message;
  else console.log(JSON.stringify(message.episodes.map(gradient)));
});
