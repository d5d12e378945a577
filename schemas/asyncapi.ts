// The pipeline's events as an AsyncAPI 3 document, made from the registry, the topics and the table of flows: it cannot say something else than
// the code. It describes the Kafka transport. Files and sockets are not touched here: who prints or serves the document does that.
//
// B1. The same options give the same document, to the byte. B2. Every reference stays within the document. B3. No address carries a password.
import { KAFKA_BINDING_VERSION as bindingVersion, eventTrait, type Json, messageNamesOf, messagesAndSchemas } from './asyncapi-messages.js';
import { eventTypesOn, FLOWS, type Flow, LETTERS, ROLES, type Role } from './channels.js';
import { Fault } from './fault.js';
import { AUDIT, CONFIG, DLQ, LIFECYCLE, LINK, NODES, OUTBOX, QUOTA, TELEMETRY, TOPIC_RETENTION_MS, TOPICS, type Topic } from './topics.js';

export interface AsyncApiOptions {
  /** Of the product. */
  readonly version: string;
  /** Of every topic. */
  readonly partitions: number;
  /** `host:port` each; without them the document names no server. */
  readonly brokers?: readonly string[];
  /** Base URL of a Confluent-compatible schema registry. */
  readonly registryUrl?: string;
  /** Before the name of every topic and group, where several installations share a cluster. */
  readonly prefix?: string;
}

export interface AsyncApiOperation {
  readonly action: 'send' | 'receive';
  readonly channel: { readonly $ref: string };
  readonly messages: readonly { readonly $ref: string }[];
  readonly [more: string]: unknown;
}

export interface AsyncApi {
  readonly asyncapi: '3.0.0';
  readonly id: string;
  readonly info: Json;
  readonly defaultContentType: string;
  readonly servers?: { readonly [name: string]: Json };
  readonly channels: { readonly [name: string]: Json & { readonly address: string; readonly messages: Json } };
  readonly operations: { readonly [name: string]: AsyncApiOperation };
  readonly components: {
    readonly messages: { readonly [name: string]: Json };
    readonly messageTraits: Json;
    readonly correlationIds: Json;
    readonly schemas: { readonly [name: string]: Json };
  };
}

const DESCRIPTION =
  `Events of DATS, a distributed agentic task system, as they lie on Kafka (\`log.kind: kafka\`). On one machine the same events lie in an
embedded log: follow them there over HTTP, see /openapi.json.

CloudEvents 1.0 in binary mode: attributes are \`ce_\` headers, the value is the data as JSON. With a schema registry the value begins with a zero byte and the
schema id in four bytes, big-endian (the Confluent wire format); the subject is the event type. Read committed records only: producers are transactional.
A type never changes in place: a new shape is a new version in \`ce_dataschema\`. Skip types you do not know.`.replaceAll(
    /(?<!\n)\n(?!\n)/g,
    ' ',
  );

const ROLE_DESCRIPTIONS: Readonly<Record<Role, string>> = {
  gateway: 'Takes requests over HTTP and streams events to clients.',
  deciders: 'Decide what happens next, from the events alone.',
  views: 'Keep the read models: tasks, artifacts, projects.',
  workers: 'Call models, run checks.',
  link: 'Brings what happens on one node to the others. Only where servers.yaml names several.',
};

const describeTopic = (topic: Topic): { title: string; description: string } => {
  if (topic === LIFECYCLE)
    return {
      title: 'Lifecycle',
      description: 'Everything that happens to tasks and to what they made. Keyed by project: the order in a partition is the truth.',
    };
  if (topic === TELEMETRY)
    return { title: 'Telemetry', description: 'Model calls, samples of nodes, and alerts. Nothing is decided from it.' };
  if (topic === AUDIT)
    return {
      title: 'Audit',
      description: 'Signed checkpoints of the Merkle tree over the lifecycle events of each project. Keyed by project.',
    };
  if (topic === CONFIG)
    return {
      title: 'Configuration',
      description: 'Changes of what can be changed while the system runs. One partition orders them all; one that lost a race is void.',
    };
  if (topic === QUOTA)
    return {
      title: 'Budgets',
      description: 'The ledger: what is set aside of budgets before models are asked, and what was used. One partition orders all of it.',
    };
  if (topic === NODES) return { title: 'Nodes', description: 'Nodes that come, go, and are taken out of work. Keyed by node.' };
  if (topic === LINK)
    return {
      title: 'Link',
      description: 'What other nodes sent, as it came. Keyed by the node that sent it: in order, and taken in once.',
    };
  if (topic === OUTBOX)
    return {
      title: 'Outbox',
      description:
        'What is for another node: what users asked of its projects, histories of projects that go there, settings. Keyed by that node.',
    };
  if (topic === DLQ)
    return { title: 'Dead letters', description: 'What could not be processed, as it was, with the reason; and what became of it.' };
  const lane = topic.slice('dats.work.'.length);
  return {
    title: `Work: ${lane}`,
    description: `Work items of the lane "${lane}", keyed by task. Done out of order; the outcome of an item counts once.`,
  };
};

const pointer = (token: string): string => token.replaceAll('~', '~0').replaceAll('/', '~1');
const ref = (...path: readonly string[]): { readonly $ref: string } => ({ $ref: `#/${path.map(pointer).join('/')}` });

/** As the topics are made: nothing is compacted, and history is kept for ever. */
const configurationOf = (topic: Topic): Json => ({ 'cleanup.policy': ['delete'], 'retention.ms': TOPIC_RETENTION_MS[topic] ?? -1 });

const channelOf = (topic: Topic, { partitions, prefix = '' }: AsyncApiOptions) => {
  const names = (topic === DLQ ? LETTERS : eventTypesOn(topic)).flatMap(messageNamesOf).sort();
  const address = prefix + topic;
  return {
    address,
    ...describeTopic(topic),
    messages: Object.fromEntries(names.map((name) => [name, ref('components', 'messages', name)])),
    bindings: { kafka: { topic: address, partitions, topicConfiguration: configurationOf(topic), bindingVersion } },
  };
};

/** `dats.work.small` -> `WorkSmall` */
const camel = (topic: Topic): string =>
  topic
    .slice('dats.'.length)
    .split('.')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('');

const operationOf = (flow: Flow, topic: Topic, { prefix = '' }: AsyncApiOptions): readonly [string, AsyncApiOperation] => [
  `${flow.role}${flow.verb[0]!.toUpperCase()}${flow.verb.slice(1)}${camel(topic)}`,
  {
    action: flow.action,
    channel: ref('channels', topic),
    title: `${flow.role}: ${flow.verb} ${topic}`,
    summary: `${flow.summary}.`,
    tags: [{ name: flow.role }],
    messages: flow.messages
      .flatMap(messageNamesOf)
      .sort()
      .map((name) => ref('channels', topic, 'messages', name)),
    ...(flow.group === undefined
      ? {}
      : { bindings: { kafka: { groupId: { type: 'string', const: prefix + flow.group }, bindingVersion } } }),
  },
];

/** @throws Fault terminal `bad_registry_url` */
const withoutPassword = (address: string): string => {
  if (!URL.canParse(address))
    throw new Fault('terminal', 'bad_registry_url', 'the address of the schema registry is no URL; give one such as http://127.0.0.1:8081');
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
};

const serversOf = ({ brokers = [], registryUrl }: AsyncApiOptions): Pick<AsyncApi, 'servers'> => {
  if (brokers.length === 0) return {};
  const registry = registryUrl === undefined ? {} : { schemaRegistryUrl: withoutPassword(registryUrl), schemaRegistryVendor: 'confluent' };
  const bindings = { kafka: { ...registry, bindingVersion } };
  return { servers: Object.fromEntries(brokers.map((host, index) => [`kafka-${index + 1}`, { host, protocol: 'kafka', bindings }])) };
};

/**
 * The document.
 * @throws Fault terminal `bad_registry_url` when there is a registry URL that is none.
 */
export const asyncApiDocument = (options: AsyncApiOptions): AsyncApi => {
  const operations = FLOWS.flatMap((flow) => flow.topics.map((topic) => operationOf(flow, topic, options))).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return {
    asyncapi: '3.0.0',
    id: 'urn:dats:events',
    info: {
      title: 'DATS events',
      version: options.version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: ROLES.map((name) => ({ name, description: ROLE_DESCRIPTIONS[name] })),
    },
    defaultContentType: 'application/json',
    ...serversOf(options),
    channels: Object.fromEntries([...TOPICS].sort().map((topic) => [topic, channelOf(topic, options)])),
    operations: Object.fromEntries(operations),
    components: {
      ...messagesAndSchemas(),
      messageTraits: { event: eventTrait() },
      correlationIds: {
        request: { description: 'The request that began it, end to end.', location: '$message.header#/ce_correlationid' },
      },
    },
  };
};
