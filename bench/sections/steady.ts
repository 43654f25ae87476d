import { setTimeout as delay } from 'node:timers/promises'
import { Bed } from '../kit/bed.ts'
import { minioPlace } from '../kit/places.ts'
import { Samples, type Section } from '../kit/section.ts'

const RATE = 2000

/** One writer at 2,000 commits a second, alone and beside each program, in turns. */
export const steady: Section = {
  name: 'steady',
  about: '2,000 commits/s for 6 s: CPU, and what the writer notices',
  async run(bench) {
    const [rounds, seconds] = bench.quick ? [1, 2] : [3, 6]
    const [cpu, p50, p99, peak] = [new Samples(), new Samples(), new Samples(), new Samples()]
    const alone: number[] = []
    for (let round = 1; round <= rounds; round++) {
      bench.say(`round ${round} of ${rounds}`)
      await using free = new Bed()
      const without = await free.write(RATE, seconds)
      alone.push(without.p50)
      for (const program of bench.programs) {
        await using bed = new Bed()
        await bed.watch(program)
        await delay(2000)
        const before = bed.usage()
        const beside = await bed.write(RATE, seconds)
        await delay(1500)
        const after = bed.usage()
        cpu.add(program.name, after.cpuSeconds - before.cpuSeconds)
        peak.add(program.name, after.peakMb)
        p50.add(program.name, beside.p50 / without.p50)
        p99.add(program.name, beside.p99 / without.p99)
      }
    }
    const work = `2,000 commits/s for ${seconds} s`
    const limit = { what: 'alone', samples: [1] }
    bench.add({ work, figure: 'CPU', unit: 's', samples: cpu.all, target: 0.2 })
    bench.add({ work, figure: 'peak RSS', unit: 'MB', samples: peak.all })
    bench.add({ work, figure: "writer's p50", unit: '×', samples: p50.all, limit, target: 1.1 })
    bench.add({ work, figure: "writer's p99", unit: '×', samples: p99.all, limit })
    const samples = { walsync: alone }
    bench.add({ work: `${work}, no program`, figure: "writer's p50", unit: 'ms', samples })

    const server = await bench.minio()
    if (server === undefined) return
    const [cpuMinio, peakMinio] = [new Samples(), new Samples()]
    for (const program of bench.programs) {
      bench.say(`MinIO: ${program.name}`)
      await using bed = new Bed({ place: minioPlace(server, `steady-${program.name}`) })
      await bed.watch(program)
      await delay(2000)
      const before = bed.usage()
      await bed.write(RATE, seconds)
      await delay(1500)
      const after = bed.usage()
      cpuMinio.add(program.name, after.cpuSeconds - before.cpuSeconds)
      peakMinio.add(program.name, after.peakMb)
    }
    bench.add({ work: `${work}, MinIO`, figure: 'CPU', unit: 's', samples: cpuMinio.all })
    bench.add({ work: `${work}, MinIO`, figure: 'peak RSS', unit: 'MB', samples: peakMinio.all })
  },
}
