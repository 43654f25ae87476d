// Usage: npm run test:deploy -- --deploys 300
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runDeploys } from './deploy-run.ts'

const { values } = parseArgs({
  options: { deploys: { type: 'string', default: '50' }, bin: { type: 'string' } },
})
const report = await runDeploys({
  deploys: Number(values.deploys),
  ...(values.bin === undefined ? {} : { bin: resolve(values.bin) }),
  onDeploy: ({ deploys, problems }) => {
    if (deploys % 10 === 0) console.log(`${deploys} deploys, ${problems.length} problems`)
  },
})
const { gapsAfterClean, gapsAfterKill, ...counts } = report
console.log(
  JSON.stringify(
    { ...counts, gapAfterClean: spread(gapsAfterClean), gapAfterKill: spread(gapsAfterKill) },
    null,
    2,
  ),
)
process.exit(report.problems.length === 0 ? 0 : 1)

/** In milliseconds. */
function spread(gaps: number[]): Record<string, number | undefined> {
  const sorted = gaps.toSorted((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { count: sorted.length, median: at(0.5), p90: at(0.9), max: sorted.at(-1) }
}
