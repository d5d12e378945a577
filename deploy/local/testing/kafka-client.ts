// What a test asks of a broker, with the client that DATS uses.
import { type Admin, Kafka, logLevel } from 'kafkajs';

const clientOf = (brokers: string) => new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
const administered = async <T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> => {
  const admin = clientOf(brokers).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
};
/** Makes a topic of one partition. */
export const withTopic = (brokers: string, topic: string) =>
  administered(brokers, (admin) => admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true }));
export const topicsOf = (brokers: string) => administered(brokers, (admin) => admin.listTopics());

/** Resolves when the broker has them. */
export const produced = async (brokers: string, topic: string, values: readonly string[]) => {
  const producer = clientOf(brokers).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
  } finally {
    await producer.disconnect();
  }
};

/** The first `count` values of a topic. */
export const consumed = async (brokers: string, topic: string, count: number): Promise<string[]> => {
  const consumer = clientOf(brokers).consumer({ groupId: `reader-${Date.now()}` });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    const values: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
        if (values.push(String(message.value)) >= count) resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    return values;
  } finally {
    await consumer.disconnect();
  }
};
