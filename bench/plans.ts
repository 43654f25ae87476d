// How long the pure planners take on large replicas, and how that grows: each with n files and with
// 4 n, the median of five. A ratio of about 4 is linear.
// Usage: node bench/plans.ts

import { planCompaction } from '../src/core/compaction/plan-compaction.ts'
import { txid } from '../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../src/core/replica/replica-client.ts'
import { ltxKey } from '../src/core/replica/replica-layout.ts'
import { planRetention } from '../src/core/retention/plan-retention.ts'
import { restorableStates } from '../src/core/verify/restorable-states.ts'

const START = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

measure('compaction of level 1, one file a second', 21_600, (n) => {
  const files = everySecond(n)
  return () => planCompaction(files, 1, { intervalMs: 30_000, now: START + (n + 1) * 1000 })
})
measure('retention, a third as many points', 1000, (n) => {
  const files = [file(9, 1, 1, 10_000), ...everySecond(n)]
  for (let at = 2; at < n - 1; at += 3) files.push(file(1, at, at + 2, 2000))
  const keep = { keepForMs: 7 * DAY, keepHourly: 24, keepDaily: 30, keepMonthly: 12 }
  const policy = { levelKeepMs: [300_000, DAY, 7 * DAY], minObjectAgeMs: 300_000, ...keep }
  return () => planRetention(files, policy, START + DAY)
})
measure('restorable states, every 300th file damaged', 15_000, (n) => {
  const files = everySecond(n)
  const damaged = new Set(files.filter((_, i) => i % 300 === 299).map(({ key }) => key))
  return () => restorableStates(files, { facts: new Map(), damaged })
})

function measure(what: string, n: number, prepare: (n: number) => () => unknown): void {
  const [once, fourfold] = [n, 4 * n].map((count) => median(prepare(count))) as [number, number]
  const growth = Math.round((fourfold / once) * 10) / 10
  console.log(`${what}: ${n} files ${once} ms, ${4 * n} files ${fourfold} ms, ratio ${growth}`)
}

function median(work: () => unknown): number {
  work()
  const times = Array.from({ length: 5 }, () => {
    const started = performance.now()
    work()
    return performance.now() - started
  })
  return Math.round((times.sort((a, b) => a - b)[2] as number) * 10) / 10
}

function everySecond(n: number): LtxFileInfo[] {
  return Array.from({ length: n }, (_, i) => file(0, i + 1, i + 1, 1000))
}

function file(level: number, min: number, max: number, size: number): LtxFileInfo {
  const [minTxid, maxTxid] = [txid(min), txid(max)]
  const key = ltxKey('ltx', level, minTxid, maxTxid)
  const at = new Date(START + max * 1000)
  return { level, minTxid, maxTxid, key, size, createdAt: at, lastModified: at }
}
