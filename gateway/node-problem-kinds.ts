// Problems that only nodes with others beside them have: part of problem-kinds.ts.
import type { ProblemKind } from './problem-kinds.js';

export const NODE_PROBLEMS = {
  node_unauthorized: {
    status: 401,
    title: 'Node not recognised',
    explain:
      "The core takes from a node only what comes with the node's token: `Authorization: Bearer <token>`, the text in the variable that `token_env` of its entry under `nodes` in servers.yaml names, the same on both machines.",
  },
  no_nodes: {
    status: 404,
    title: 'Not the core of several nodes',
    explain: 'This node takes in nothing of other nodes: servers.yaml names none under `nodes`, or another one is the core.',
  },
  project_moving: {
    status: 409,
    title: 'Project on its way',
    explain:
      'The project is on its way to another node: its home lets it go as soon as nothing of it runs any more. GET /api/v1/projects/{project_id}/home says where it is.',
  },
  decided_elsewhere: {
    status: 409,
    title: 'Decided on another node',
    explain:
      'The project is decided on another node, and what was asked for can only be answered where its decisions are made: the detail names the node, and its address where servers.yaml has one.',
  },
  node_superseded: {
    status: 409,
    title: 'Another store has this node id',
    explain:
      'A newer store came under the id of this node, so this one is not listened to: the machine was set up anew, or two machines have one id. Give each its own id under `nodes`, or stop the other one and begin with an empty data folder.',
  },
  task_on_its_way: {
    status: 503,
    title: 'Task on its way to its home',
    explain:
      'The task was taken here and is on disk, but another node decides its project and has said nothing of it yet: that node is cut off, or was asked just now. Nothing is lost. Try again after Retry-After.',
    retryAfterS: 2,
  },
  link_busy: {
    status: 503,
    title: 'Not taken in yet',
    explain:
      'What the node sent is on disk, but the receiver has not seen to it in time, or does not know the node yet. Sending it again is harmless.',
    retryAfterS: 1,
  },
  node_not_found: {
    status: 404,
    title: 'Node not found',
    explain: 'servers.yaml has no node of this id under `nodes`. GET /api/v1/nodes lists them.',
  },
  node_elsewhere: {
    status: 409,
    title: 'Another node',
    explain: 'A node is taken out of work at the node itself or at the core. The detail says where the core is.',
  },
  settings_at_core: {
    status: 409,
    title: 'Not here',
    explain:
      'Every node has the settings of the core, in its order. Change them there: every edge node has them within a second, or when its line is back.',
  },
  node_cordoned: {
    status: 503,
    title: 'Out of work',
    explain:
      'Somebody took the node out of work (`dats node cordon` or `drain`): what runs goes on, and nothing new is taken until `dats node uncordon`. Try again after Retry-After, or move the project to another node.',
    retryAfterS: 30,
  },
} as const satisfies Record<string, ProblemKind>;
