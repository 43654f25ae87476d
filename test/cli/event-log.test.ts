import { expect, it } from 'vitest'
import { describeEvent } from '../../src/cli/output/event-log.ts'
import { txid } from '../../src/core/ltx/index.ts'

it.each([
  ['a warning at first if the store does not keep up', 'store-behind', true, 'warn'],
  ['no warning for each further change', 'store-behind', false, 'debug'],
  ['no warning if a writer is ahead of checkpoints for a moment', 'writer-ahead', true, 'debug'],
] as const)('a change in the spool is %s', (_, reason, isFirst, level) => {
  const event = { type: 'spooling', database: 'app', txid: txid(7), spoolBytes: 2_000_000 } as const
  expect(describeEvent({ ...event, reason, isFirst })).toEqual([
    level,
    'changes are waiting in the spool (2.0 MB)',
  ])
})
