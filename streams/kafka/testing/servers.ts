// The servers of the run, as the tests of Kafka and the registry want them.
import { addressOf } from '../../testing/servers.js';

/** `host:port` of Kafka brokers. */
export const testBrokers = (): readonly string[] => addressOf('kafka').split(',');

/** Of the Confluent-compatible API of a schema registry. */
export const testRegistry = (): string => addressOf('registry');
