// Usage: npm run test:race -- --races 500 [--parallel 2] [--bin dist/cli/bin.js]
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runRaces } from './race-run.ts'

const { values } = parseArgs({
  options: {
    races: { type: 'string', default: '100' },
    parallel: { type: 'string', default: '2' },
    bin: { type: 'string' },
  },
})
const startedAt = performance.now()
let shown = 0
const report = await runRaces({
  races: Number(values.races),
  parallel: Number(values.parallel),
  ...(values.bin === undefined ? {} : { bin: resolve(values.bin) }),
  onRound: ({ races, fenced, pauses, kills, restores, problems }) => {
    console.log(
      `${races} races, ${fenced} fenced, ${pauses} pauses, ${kills} kills, ${restores} restores, ${problems.length} problems`,
    )
    for (; shown < problems.length; shown++) console.log(problems[shown])
  },
})
const seconds = Math.round((performance.now() - startedAt) / 1000)
console.log(JSON.stringify({ ...report, seconds }, null, 2))
process.exit(report.problems.length === 0 ? 0 : 1)
