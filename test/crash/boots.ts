// Usage: npm run test:boots -- --orders 100
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runBoots } from './boot-run.ts'

const { values } = parseArgs({
  options: { orders: { type: 'string', default: '20' }, bin: { type: 'string' } },
})
const report = await runBoots({
  orders: Number(values.orders),
  bin: values.bin === undefined ? undefined : resolve(values.bin),
  onOrder: ({ orders, boots }) => {
    if (orders % 5 === 0) console.log(`${orders} orders, ${boots} boots`)
  },
})
console.log(JSON.stringify(report, null, 2))
process.exit(report.problems.length === 0 ? 0 : 1)
