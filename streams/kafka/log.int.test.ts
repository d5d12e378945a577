import { logContract } from '../log.contract.js';
import { kafkaHarness } from './testing/harness.js';
import { testBrokers } from './testing/servers.js';

logContract('kafka', async () => ({ ...kafkaHarness(testBrokers()), histories: 5 }));
