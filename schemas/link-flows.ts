// What the link between nodes writes and reads: part of the table of channels.ts. Nothing of it happens where servers.yaml names no nodes.
import { LIFECYCLE_TYPES, NODE_COMMANDS, TELEMETRY_TYPES } from './channel-messages.js';
import type { Flow } from './flow.js';
import { CONFIG, LIFECYCLE, LINK, NODES, OUTBOX, TELEMETRY } from './topics.js';

type LinkFlow = Omit<Flow, 'role' | 'optional'>;

const FLOWS: readonly LinkFlow[] = [
  {
    action: 'send',
    verb: 'fetch',
    topics: [LINK],
    messages: ['dats.node.joined', 'dats.link.batch'],
    summary: "What an edge node fetched from the core's outbox, as it came",
  },
  {
    action: 'receive',
    verb: 'takeIn',
    topics: [LINK],
    messages: ['dats.node.joined', 'dats.link.batch'],
    group: 'link',
    summary: 'What other nodes sent: from here it goes where it belongs, each record once',
  },
  {
    action: 'send',
    verb: 'copy',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    summary:
      'What users asked elsewhere of a project that is decided here; and copies of what was decided elsewhere: they say so in `linkedfrom`, and nobody decides on them here',
  },
  { action: 'send', verb: 'copy', topics: [TELEMETRY], messages: TELEMETRY_TYPES, summary: 'Copies of the telemetry of edge nodes' },
  {
    action: 'send',
    verb: 'copy',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    summary: "On an edge node: the core's settings, all of them in their order",
  },
  { action: 'send', verb: 'copy', topics: [NODES], messages: NODE_COMMANDS, summary: 'What was asked of this node at the core' },
  {
    action: 'send',
    verb: 'send',
    topics: [NODES],
    messages: ['dats.node.created', 'dats.node.registered', 'dats.node.lost', 'dats.node.returned', 'dats.node.drained'],
    summary: 'That the store of a node begins, that a node came, is lost and is back, and that it can be stopped',
  },
  {
    action: 'receive',
    verb: 'follow',
    topics: [NODES],
    messages: ['dats.node.created', 'dats.node.drained', ...NODE_COMMANDS],
    summary: 'Which life of its store this is, and whether this node takes new work; every process reads everything',
  },
  {
    action: 'receive',
    verb: 'watch',
    topics: [NODES],
    messages: ['dats.node.registered'],
    group: 'nodes',
    summary: 'At the core: whom to listen for',
  },
  { action: 'send', verb: 'alert', topics: [TELEMETRY], messages: ['dats.ops.alert'], summary: 'That a node is lost' },
  {
    action: 'receive',
    verb: 'keepHomes',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    group: 'homes',
    summary: 'Where projects are; what users asked of one that is decided elsewhere is sent on',
  },
  {
    action: 'receive',
    verb: 'handOn',
    topics: [CONFIG],
    messages: ['dats.config.changed'],
    group: 'settings',
    summary: 'At the core: settings that go to every edge node',
  },
  {
    action: 'send',
    verb: 'send',
    topics: [OUTBOX],
    messages: [...LIFECYCLE_TYPES, 'dats.config.changed'],
    summary: 'What was asked at the wrong node, histories of projects that go to another node, and settings',
  },
  {
    action: 'receive',
    verb: 'forward',
    topics: [LIFECYCLE],
    messages: LIFECYCLE_TYPES,
    summary: 'What an edge node sends to the core',
  },
  { action: 'receive', verb: 'forward', topics: [TELEMETRY], messages: TELEMETRY_TYPES, summary: 'What an edge node sends to the core' },
  {
    action: 'receive',
    verb: 'forward',
    topics: [OUTBOX],
    messages: [...LIFECYCLE_TYPES, ...NODE_COMMANDS, 'dats.config.changed'],
    summary: 'What an edge node sends to the core, and fetches from it',
  },
];

export const LINK_FLOWS: readonly Flow[] = FLOWS.map((flow) => ({ role: 'link', optional: true, ...flow }));
