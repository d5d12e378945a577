import { logContract } from '../log.contract.js';
import { addressOf, describeWith } from '../testing/servers.js';
import { kafkaHarness } from './testing/harness.js';

describeWith(['kafka'], 'on a real broker', () => {
  logContract('kafka', async () => ({ ...kafkaHarness([addressOf('kafka')]), histories: 5 }));
});
