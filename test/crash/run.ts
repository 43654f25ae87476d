// Usage: npm run test:crash -- --kills 1000
import { parseArgs } from 'node:util'
import { runKills } from './kill-run.ts'

const { values } = parseArgs({ options: { kills: { type: 'string', default: '200' } } })
const startedAt = performance.now()
let shown = 0
const report = await runKills({
  kills: Number(values.kills),
  onRound: ({ kills, restores, rows, resumed, bases, problems }) => {
    console.log(
      `${kills} kills, ${restores} restores, ${rows} rows, ${resumed} resumed, ${bases} bases, ${problems.length} problems`,
    )
    for (; shown < problems.length; shown++) console.log(problems[shown])
  },
})
console.log(
  JSON.stringify(
    { ...report, seconds: Math.round((performance.now() - startedAt) / 1000) },
    null,
    2,
  ),
)
process.exit(report.problems.length === 0 ? 0 : 1)
