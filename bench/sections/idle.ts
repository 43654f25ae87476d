import { setTimeout as delay } from 'node:timers/promises'
import { Bed } from '../kit/bed.ts'
import { nodeThatWaits } from '../kit/node-that-waits.ts'
import { Samples, type Section } from '../kit/section.ts'

/** One database that nobody writes to. */
export const idle: Section = {
  name: 'idle',
  about: 'one idle database: memory, all and private, and CPU',
  async run(bench) {
    const seconds = bench.quick ? 3 : 30
    const [rss, own, cpu] = [new Samples(), new Samples(), new Samples()]
    for (const program of bench.programs) {
      bench.say(program.name)
      await using bed = new Bed()
      await bed.watch(program)
      await delay(8000)
      const before = bed.usage()
      await delay(seconds * 1000)
      const after = bed.usage()
      rss.add(program.name, after.rssMb)
      own.add(program.name, after.privateMb)
      cpu.add(program.name, ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100)
    }
    const node = await nodeThatWaits((usage) => usage)
    const limit = (value: number) => ({ what: 'Node alone', samples: [value] })
    const row = { work: 'watch, one idle database', unit: 'MB' } as const
    const [all, private_] = [limit(node.rssMb), limit(node.privateMb)]
    bench.add({ ...row, figure: 'RSS', samples: rss.all, limit: all, target: 70 })
    bench.add({ ...row, figure: 'private memory', samples: own.all, limit: private_, target: 20 })
    bench.add({ ...row, figure: 'CPU', unit: '%', samples: cpu.all })
  },
}
