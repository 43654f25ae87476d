import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../test/servers/server-process.ts'
import type { Bed } from '../kit/bed.ts'
import { fleetBed, nameOfFleet } from '../kit/fleet-bed.ts'
import type { Program } from '../kit/programs.ts'
import { type Bench, Samples, type Section } from '../kit/section.ts'

/** Scrapes of `/metrics` of a fleet, as Prometheus does them. */
export const metrics: Section = {
  name: 'metrics',
  about: '/metrics of 1,000 databases (--databases N): time, and how much memory grows',
  async run(bench) {
    const count = bench.databases ?? (bench.quick ? 50 : 1000)
    const [ms, growth, size] = [new Samples(), new Samples(), new Samples()]
    for (const program of bench.programs) {
      if (program.dist === undefined) continue
      bench.say(program.name)
      await using bed = fleetBed(count)
      const scraped = await scrape(bed, program, bench)
      ms.add(program.name, ...scraped.ms)
      growth.add(program.name, scraped.growthMb)
      size.add(program.name, scraped.kilobytes / 1000)
    }
    const targets = count === 1000 ? { ms: 50, mb: 10 } : undefined
    const work = `/metrics of ${nameOfFleet(count)}`
    bench.add({ work, figure: 'p50 of 30', unit: 'ms', samples: ms.all, target: targets?.ms })
    bench.add({ work, figure: 'the slowest', unit: 'ms', samples: ms.all, quantile: 1 })
    bench.add({ work, figure: 'RSS, growth', unit: 'MB', samples: growth.all, target: targets?.mb })
    bench.add({ work, figure: 'size', unit: 'MB', samples: size.all })
  },
}

async function scrape(bed: Bed, program: Program, { quick }: Bench) {
  const port = await freePort()
  await bed.watch(program, ['--http', `127.0.0.1:${port}`])
  await delay(quick ? 2000 : 20_000)
  const before = bed.usage().rssMb
  const ms: number[] = []
  let kilobytes = 0
  for (let i = 0; i < 30; i++) {
    const startedAt = performance.now()
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    const text = await answer.text()
    ms.push(performance.now() - startedAt)
    if (!answer.ok || !text.includes('walsync_txid{')) throw new Error(`/metrics: ${answer.status}`)
    kilobytes = text.length / 1000
    await delay(200)
  }
  return { ms, kilobytes, growthMb: bed.usage().rssMb - before }
}
