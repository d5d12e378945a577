// Where the servers are that the tests of Kafka use. They must run: a test without them fails, and says so.

/** `host:port` of Kafka brokers; `DATS_TEST_KAFKA` names others, with commas. */
export const testBrokers = (): readonly string[] => (process.env.DATS_TEST_KAFKA ?? '127.0.0.1:19092').split(',');

/** Of the Confluent-compatible API of a schema registry; `DATS_TEST_REGISTRY` names another. */
export const testRegistry = (): string => process.env.DATS_TEST_REGISTRY ?? 'http://127.0.0.1:18081/apis/ccompat/v7';
