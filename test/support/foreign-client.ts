// Somebody else's Kafka client on the topics of an installation: writes what no event decodes, reads what stands there byte by byte. kafkajs, which shares
// no code with the adapter.
import { Kafka, logLevel } from 'kafkajs';
import { eventually } from './eventually.js';

const GROUP_SESSION_MS = 6_000;

export interface ForeignRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PlacedRecord extends ForeignRecord {
  readonly partition: number;
  readonly offset: number;
}

export interface ForeignClient {
  /** @returns their offsets, in order. */
  write(topic: string, partition: number, records: readonly ForeignRecord[]): Promise<readonly number[]>;
  /** Reads the topic from its beginning until `enough`. @returns every record so far, each partition in order. */
  readUntil(
    topic: string,
    what: string,
    limitMs: number,
    enough: (records: readonly PlacedRecord[]) => boolean,
  ): Promise<readonly PlacedRecord[]>;
}

export const foreignClient = (brokers: readonly string[]): ForeignClient => {
  const kafka = new Kafka({ clientId: 'foreign', brokers: [...brokers], logLevel: logLevel.NOTHING });
  let groups = 0;
  return {
    write: async (topic, partition, records) => {
      const producer = kafka.producer();
      await producer.connect();
      try {
        const offsets: number[] = [];
        // One by one: an answer names only the first offset.
        for (const { key, value, headers } of records) {
          const [written] = await producer.send({ topic, messages: [{ partition, key, value, headers: { ...headers } }] });
          offsets.push(Number(written!.baseOffset));
        }
        return offsets;
      } finally {
        await producer.disconnect();
      }
    },
    readUntil: async (topic, what, limitMs, enough) => {
      const consumer = kafka.consumer({ groupId: `foreign-${topic}-${groups++}`, sessionTimeout: GROUP_SESSION_MS });
      const records: PlacedRecord[] = [];
      await consumer.connect();
      try {
        await consumer.subscribe({ topic, fromBeginning: true });
        await consumer.run({
          eachMessage: async ({ partition, message: { key, value, headers, offset } }) => {
            const named = Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)] as const);
            records.push({ partition, offset: Number(offset), key, value, headers: Object.fromEntries(named) });
          },
        });
        await eventually(what, limitMs, () => enough(records));
        return records;
      } finally {
        await consumer.disconnect();
      }
    },
  };
};
