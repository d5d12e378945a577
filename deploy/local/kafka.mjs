// One Apache Kafka node (KRaft: broker and controller in one process), from the Maven artifacts, run by java.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failure } from './failure.mjs';
import { fetched } from './fetch.mjs';
import { copyWithDependencies } from './maven.mjs';
import { kafkaAnswers } from './probe.mjs';
import { javaFor } from './programs.mjs';
import { HOST } from './settings.mjs';

const run = promisify(execFile);
export const KAFKA_VERSION = '4.0.2';
const LEAST_JAVA = 17;
const FORMAT_LIMIT_MS = 60_000;
const HEAP_MIB = 768;
const LARGEST_BATCH_BYTES = 16 * 1024 * 1024;
const ARTIFACTS = [
  { group: 'org.apache.kafka', artifact: 'kafka_2.13', version: KAFKA_VERSION },
  // Kafka logs through slf4j and leaves the choice of what is behind it; without one it is mute.
  { group: 'org.apache.logging.log4j', artifact: 'log4j-slf4j-impl', version: '2.25.4' },
];

const lines = (settings) =>
  `${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;

/** Of `server.properties`. Compose gives its broker the same, except for addresses and folders (compose.test.ts). */
export const brokerSettings = ({ dir, port, controllerPort }) => ({
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
  listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
  'advertised.listeners': `PLAINTEXT://${HOST}:${port}`,
  'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
  'inter.broker.listener.name': 'PLAINTEXT',
  'controller.listener.names': 'CONTROLLER',
  'log.dirs': join(dir, 'data', 'log'),
  // One node: every topic has one copy, the broker's own too.
  'default.replication.factor': 1,
  'offsets.topic.replication.factor': 1,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'offsets.topic.num.partitions': 5,
  'transaction.state.log.num.partitions': 5,
  'auto.create.topics.enable': false,
  // The log is the truth, and a group that was away for a week is still where it was: nothing goes by itself.
  'log.retention.ms': -1,
  'offsets.retention.minutes': 2_147_483_647,
  'message.max.bytes': LARGEST_BATCH_BYTES,
  'replica.fetch.max.bytes': LARGEST_BATCH_BYTES,
  // Quick for a person at a desk and for tests: a group starts at once, and a dead member is noticed after a second if its client asks for that.
  'group.initial.rebalance.delay.ms': 0,
  'group.min.session.timeout.ms': 1_000,
  // What a dead process left open is in the way of readers until it is aborted: looked for every second, not every ten.
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
  // A broker that was killed may register again only when its old session is over; the default is 9 s.
  'broker.session.timeout.ms': 3_000,
  'broker.heartbeat.interval.ms': 500,
});

const logSettings = (file) => ({
  'appender.file.type': 'RollingFile',
  'appender.file.name': 'file',
  'appender.file.fileName': file,
  'appender.file.filePattern': `${file}.%i`,
  'appender.file.layout.type': 'PatternLayout',
  'appender.file.layout.pattern': '%d{ISO8601} %p %c{1}: %m%n',
  'appender.file.policies.type': 'Policies',
  'appender.file.policies.size.type': 'SizeBasedTriggeringPolicy',
  'appender.file.policies.size.size': '5MB',
  'appender.file.strategy.type': 'DefaultRolloverStrategy',
  'appender.file.strategy.max': 2,
  'rootLogger.level': 'info',
  'rootLogger.appenderRef.file.ref': 'file',
  // Pages of settings at every start.
  'logger.settings.name': 'org.apache.kafka.common.config',
  'logger.settings.level': 'warn',
  'logger.broker.name': 'kafka.server.KafkaConfig',
  'logger.broker.level': 'warn',
});

/**
 * A Kafka node in `dir`, for supervise.mjs.
 * @param {{ dir: string, cache: string, port: number, controllerPort: number, heapMiB?: number, settings?: object, env?: object }} options
 *   `settings`: broker settings that replace or add to ours
 */
export const kafkaServer = ({ dir, cache, port, controllerPort, heapMiB = HEAP_MIB, settings = {}, env = process.env }) => {
  const [data, properties, logging] = [join(dir, 'data'), join(dir, 'server.properties'), join(dir, 'log4j2.properties')];
  const formatted = join(data, 'formatted');
  const log = join(dir, 'kafka.log');
  let java;
  let classPath;
  const jvm = (...args) => [`-Dlog4j2.configurationFile=file:${logging}`, '-cp', classPath, ...args];

  /** Only a whole format leaves the mark; before it nothing can have been written, so what a killed one left goes. */
  const format = async () => {
    if (existsSync(formatted)) return;
    rmSync(data, { recursive: true, force: true });
    mkdirSync(join(data, 'log'), { recursive: true });
    const cluster = randomBytes(16).toString('base64url');
    const args = [
      '-XX:TieredStopAtLevel=1',
      ...jvm('kafka.tools.StorageTool', 'format', `--cluster-id=${cluster}`, '--config', properties),
    ];
    try {
      await run(java, args, { timeout: FORMAT_LIMIT_MS });
    } catch (error) {
      throw failure(
        'format_failed',
        `kafka: ${data} could not be formatted.\n${error.stderr ?? ''}${error.stdout ?? ''}\n  read ${log}, then try again with --fresh.`,
        error,
      );
    }
    writeFileSync(formatted, `${cluster}\n`);
  };

  return {
    name: 'kafka',
    address: `${HOST}:${port}`,
    ports: [port, controllerPort],
    portVariable: 'DATS_SERVERS_KAFKA_PORT',
    dir,
    logs: [log, join(dir, 'out.log')],
    startLimitMs: 60_000,
    stopLimitMs: 20_000,
    prepare: async () => {
      java = await javaFor(LEAST_JAVA, 'to run Apache Kafka', env);
      const fill = (folder) => copyWithDependencies(folder, ARTIFACTS, env);
      const home = await fetched({ cache, name: `kafka-${KAFKA_VERSION}`, fill });
      classPath = join(home, 'lib', '*');
      writeFileSync(properties, lines({ ...brokerSettings({ dir, port, controllerPort }), ...settings }));
      writeFileSync(logging, lines(logSettings(log)));
      await format();
    },
    command: () => ({
      file: java,
      args: [`-Xms${heapMiB / 2}m`, `-Xmx${heapMiB}m`, '-XX:+ExitOnOutOfMemoryError', ...jvm('kafka.Kafka', properties)],
      env,
    }),
    answers: () => kafkaAnswers(port),
  };
};
