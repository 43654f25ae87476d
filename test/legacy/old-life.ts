import { rmSync } from 'node:fs'
import fc from 'fast-check'
import type { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import { OldSource } from './old-source.ts'
import { OldWriter, WriterClock } from './old-writer.ts'

const unit = fc.double({ min: 0, max: 1, noNaN: true })
const change = { kind: unit, seed: fc.nat(5000) }

function just<const T extends string>(...names: T[]) {
  return fc.constantFrom(...names)
}

/** One thing that an application or the watcher does. `work` is a commit that is uploaded at once. */
const step = fc.oneof(
  { weight: 40, arbitrary: fc.record({ do: just('work'), ...change }) },
  { weight: 12, arbitrary: fc.record({ do: just('commit'), ...change }) },
  { weight: 5, arbitrary: fc.record({ do: just('sync', 'end by commit', 'end by rollback') }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: just('snapshot', 'torn snapshot', 'restart in snapshot') }),
  },
  { weight: 2, arbitrary: fc.record({ do: just('PASSIVE', 'RESTART', 'TRUNCATE') }) },
  { weight: 2, arbitrary: fc.record({ do: just('wait'), ms: fc.integer({ min: 1, max: 3000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: just('begin', 'reopen', 'vacuum', 'lose state') }) },
)
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
export const steps = fc.array(step, { minLength: 5, maxLength: 60 })

/** What a watched database left behind. */
export interface OldLife {
  /** Digests of all states that the database ever had, oldest first. */
  readonly states: readonly string[]
  /** Index of the last state of which everything is certain to have been uploaded. */
  readonly stored: number
  readonly store: MemoryObjectStore
  readonly begin: Date
  readonly end: Date
}

/** @param rows that the database had before it was watched */
export async function live(path: string, rows: number, all: readonly Step[]): Promise<OldLife> {
  const source = new OldSource(path, rows)
  const clock = new WriterClock()
  const begin = clock.now
  const writer = new OldWriter(path, clock)
  let stored = -1
  const sync = async (): Promise<void> => {
    if (await writer.sync()) stored = source.states.length - 1
  }
  await sync()
  await writer.snapshot()
  for (const one of all) {
    clock.tick(7)
    if (one.do === 'work' || one.do === 'commit') source.commit(one.kind, one.seed)
    if (one.do === 'work' || one.do === 'sync') await sync()
    else if (one.do === 'wait') clock.tick(one.ms)
    else if (one.do === 'lose state') writer.loseState()
    else if (one.do !== 'commit') await act(one.do, source, writer)
  }
  source.close()
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  return { states: source.states, stored, store: writer.store, begin, end: clock.now }
}

async function act(what: Step['do'], source: OldSource, writer: OldWriter): Promise<void> {
  switch (what) {
    case 'snapshot':
      return writer.snapshot()
    case 'torn snapshot':
    case 'restart in snapshot':
      return writer.snapshot(() => {
        source.commit(0.5, 3)
        source.checkpoint(what === 'torn snapshot' ? 'PASSIVE' : 'RESTART')
        source.commit(0.5, 4)
        source.checkpoint('PASSIVE')
      })
    case 'PASSIVE':
    case 'RESTART':
    case 'TRUNCATE':
      return source.checkpoint(what)
    case 'begin':
      return source.begin()
    case 'end by commit':
    case 'end by rollback':
      return source.end(what === 'end by commit')
    case 'reopen':
      return source.reopen()
    case 'vacuum':
      return source.vacuum()
    default:
      throw new TypeError(`Unexpected step ${what}.`)
  }
}
