import { expect, it } from 'vitest';
import { openVisits } from './visits.js';

const LAST_STAMP = 2 ** 31 - 1;

it('what one walk has seen, the next has not, also where the stamps begin anew', () => {
  const visits = openVisits(LAST_STAMP - 3);
  const stamps: number[] = [];
  visits.begin(3);
  // Seen by the first walk ever, and by none since.
  visits.stamps[2] = 1;
  for (let walk = 0; walk < 4; walk++) {
    visits.begin(3 + walk);
    expect(visits.stamps.length).toBeGreaterThanOrEqual(3 + walk);
    expect([...visits.stamps]).not.toContain(visits.stamp);
    visits.stamps[1] = visits.stamp;
    stamps.push(visits.stamp);
  }
  expect(stamps).toEqual([LAST_STAMP - 1, LAST_STAMP, 1, 2]);
});
