// Usage: node test/crash/soak.ts --minutes 10
import { parseArgs } from 'node:util'
import { Soak } from './soak-run.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
/** Faults that a run of some minutes must have had. */
const WANTED = [
  ['kill', 'end', 'quiesce', 'replace', 'pause', 'writer-kill', 'older-75', 'took-over'],
  ['idle', 'reopened-true', 'reopened-false', 'resumed', 'base', 'compacted', 'pruned', 'snapshot'],
  ['prune-0', 'compact-0', 'snapshot-0', 'verify-0'],
].flat()

const soak = new Soak()
const { report } = soak
const until = Date.now() + Number(values.minutes) * 60_000
console.log(soak.folder)
try {
  while (Date.now() < until && report.problems.length < 20) {
    const told = report.problems.length
    await soak.round()
    const { rounds, restores, problems } = report
    console.log(`${rounds} rounds, ${restores} restores, ${problems.length} problems`)
    for (const problem of problems.slice(told)) console.log(problem)
  }
  await soak.finish()
} finally {
  await soak.close()
}
const missing = WANTED.filter((kind) => report.counts[kind] === undefined)
if (Number(values.minutes) >= 5 && missing.length > 0) {
  report.problems.push(`nothing of the kind happened: ${missing}`)
}
console.log(JSON.stringify(report, null, 2))
process.exit(report.problems.length === 0 ? 0 : 1)
