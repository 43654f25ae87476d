import assert from 'node:assert/strict'
import { isStoreError, type ObjectStore, probeStore } from '../../core/store/index.ts'
import type { CaseContext } from '../case-context.ts'
import { runChildren } from '../child-client.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  background,
  bytes,
  read,
  readText,
  rejectsWith,
  sameBytes,
  text,
  untilDecided,
} from '../expect.ts'

const WRITERS = 32
const CLIENTS = 4

const cases: readonly ContractCase[] = [
  {
    id: 'CD04',
    promise: 'exactly one of many create-only writers of one key wins, and its bytes stay',
    needs: ['ifAbsent'],
    timeoutMs: 300_000,
    run: (context) => oneWinner(context, context.limit('raceRounds'), WRITERS, 40),
  },
  {
    id: 'CD05',
    promise: 'exactly one of several create-only writers of a big object wins, and its bytes stay',
    needs: ['ifAbsent'],
    timeoutMs: 300_000,
    run: (context) => oneWinner(context, 2, 4, (context.harness.limits?.partBytes ?? 1e6) + 4321),
  },
  {
    id: 'CD06',
    promise: 'exactly one of the create-only writers in several processes wins',
    needs: ['ifAbsent', 'child process'],
    timeoutMs: 120_000,
    async run(context) {
      const rounds = 40
      const reports = await runChildren(context, 4, { job: 'race', rounds })
      const wins = reports.flatMap((report, child) =>
        (report as number[]).map((round) => ({ round, child })),
      )
      for (let round = 0; round < rounds; round++) {
        const winners = wins.filter((win) => win.round === round)
        assert.equal(winners.length, 1, `winners of round ${round}`)
        assert.equal(await readText(context.store, `race/${round}`), `child ${winners[0]!.child}`)
      }
    },
  },
  {
    id: 'CD07',
    promise: 'a create-only put never overwrites a put that was acknowledged before it',
    needs: ['ifAbsent'],
    async run(context) {
      const other = await context.client()
      for (let i = 0; i < 40; i++) {
        const key = `race/${i}`
        let acknowledged = false
        const plain = background(
          other.put(key, text('plain')).then(() => {
            acknowledged = true
          }),
        )
        const before = acknowledged
        const created = await context.store.put(key, text('created'), { ifAbsent: true }).then(
          () => true,
          () => false,
        )
        await plain
        assert.ok(!(before && created), 'created over an acknowledged put')
        const late = context.store.put(key, text('late'), { ifAbsent: true })
        await rejectsWith('AlreadyExists', late, { key })
        assert.equal(await readText(context.store, key), 'plain', 'the plain put overwrites')
      }
    },
  },
  {
    id: 'CD15',
    promise: 'a create-only put whose answer was lost is recognised as its own',
    needs: ['ifAbsent', 'faults', 'retry'],
    async run(context) {
      const { store, faults } = context
      for (const body of [text('mine'), { open: () => [text('mi'), text('ne')] }]) {
        faults.reset()
        faults.dropResponse({ on: 'put' })
        const key = `lost/${body instanceof Uint8Array ? 'bytes' : 'source'}`
        const result = await store.put(key, body, { ifAbsent: true })
        assert.equal(result.version, (await store.head(key))?.version)
        assert.equal(result.size, 4)
        assert.equal(await readText(store, key), 'mine')
      }
    },
  },
  {
    id: 'CD24',
    promise: 'a compare-and-swap put whose answer was lost is recognised as its own',
    needs: ['ifMatch', 'faults', 'retry'],
    async run({ store, faults }) {
      const { version } = await store.put('k', text('old'))
      faults.dropResponse({ on: 'put' })
      const result = await store.put('k', text('mine'), { ifMatch: version })
      assert.equal(result.version, (await store.head('k'))?.version)
      assert.equal(await readText(store, 'k'), 'mine')
    },
  },
  {
    id: 'CD16',
    promise: 'a lost answer does not turn a lost race into a win',
    needs: ['ifAbsent', 'faults', 'retry'],
    async run(context) {
      const other = await context.client()
      for (const theirs of ['them', 'theirs, and longer']) {
        context.faults.reset()
        const key = `race/${theirs.length}`
        context.faults.dropRequest({ on: 'put' })
        context.faults.before(
          async () => {
            await other.put(key, text(theirs))
          },
          { on: 'put' },
        )
        const put = context.store.put(key, text('mine'), { ifAbsent: true })
        await rejectsWith('AlreadyExists', put, { key })
        assert.equal(await readText(context.store, key), theirs)
      }
    },
  },
  {
    id: 'CD17',
    promise: 'a lost answer that cannot be read back is an unknown outcome, and retryable',
    needs: ['ifAbsent', 'faults', 'retry'],
    async run({ store, faults }) {
      const times = Number.POSITIVE_INFINITY
      faults.dropResponse({ on: 'put' })
      faults.answer(503, { on: 'get', times })
      faults.answer(503, { on: 'head', times })
      const put = store.put('k', text('mine'), { ifAbsent: true })
      const codes = ['Unavailable', 'Throttled', 'Timeout'] as const
      const error = await rejectsWith(codes, put, { key: 'k', outcome: 'unknown' })
      assert.equal(error.retryable, true)
      faults.reset()
      assert.equal(await readText(store, 'k'), 'mine')
    },
  },
  {
    id: 'CD18',
    promise: 'a write conflict in which nothing was stored is retried, and never AlreadyExists',
    needs: ['ifAbsent', 'faults', 'retry'],
    async run({ store, faults }) {
      faults.answer(409, { on: 'put' })
      await store.put('k', text('mine'), { ifAbsent: true })
      assert.equal(await readText(store, 'k'), 'mine')
    },
  },
  {
    id: 'CD19',
    promise: 'a write conflict that never ends is Unavailable with nothing applied',
    needs: ['ifAbsent', 'faults'],
    async run({ store, faults }) {
      faults.answer(409, { on: 'put', times: Number.POSITIVE_INFINITY })
      const put = store.put('k', text('mine'), { ifAbsent: true })
      const error = await rejectsWith(['Unavailable', 'Throttled'], put, { key: 'k' })
      assert.equal(error.outcome, 'not-applied')
      assert.equal(error.retryable, true)
      faults.reset()
      assert.equal(await store.head('k'), undefined)
    },
  },
  {
    id: 'CD20',
    promise: 'what the start-up probe finds on the container is what the store declares',
    async run({ store }) {
      const { checks } = await probeStore(store, { prefix: 'probe' })
      const wrong = checks.filter(({ status }) => status === 'failed' || status === 'untried')
      assert.deepEqual(wrong, [])
      for await (const { key } of store.list()) assert.fail(`the probe left ${key} behind`)
    },
  },
]

async function oneWinner(
  context: CaseContext,
  rounds: number,
  writers: number,
  size: number,
): Promise<void> {
  const clients: ObjectStore[] = [context.store]
  while (clients.length < CLIENTS) clients.push(await context.client())
  for (let round = 0; round < rounds; round++) {
    const key = `race/${round}`
    const bodies = Array.from({ length: writers }, (_, i) => bytes(size, 1000 * round + i + 1))
    const results = await Promise.allSettled(
      bodies.map((body, i) =>
        untilDecided(() => clients[i % CLIENTS]!.put(key, body, { ifAbsent: true })),
      ),
    )
    const winners = results.flatMap((r, i) => (r.status === 'fulfilled' ? [i] : []))
    assert.equal(winners.length, 1, `winners of round ${round}`)
    for (const result of results) {
      if (result.status === 'fulfilled') continue
      const { reason } = result
      assert.ok(isStoreError(reason) && reason.code === 'AlreadyExists', `loser: ${reason}`)
    }
    for (const client of clients) sameBytes(await read(client, key), bodies[winners[0]!]!)
  }
}

export const races: Facet = { name: 'races and lost answers', cases }
