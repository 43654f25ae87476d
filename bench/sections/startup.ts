import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from '../kit/programs.ts'
import { Samples, type Section } from '../kit/section.ts'
import { cpuSecondsOfEndedChildren } from '../kit/usage.ts'

/** Short commands, in turns with a Node that does nothing, with a compile cache as where walsync has run before. */
export const startup: Section = {
  name: 'startup',
  about: '--version, and the list of an empty folder',
  async run(bench) {
    const runs = bench.quick ? 3 : 20
    const folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    try {
      const node: Command = { command: process.execPath, args: ['-e', '0'] }
      const alone = { ms: [] as number[], cpu: [] as number[] }
      const of = {
        version: { ms: new Samples(), cpu: new Samples() },
        list: { ms: new Samples(), cpu: new Samples() },
      }
      // The first run of each fills the caches.
      for (let run = 0; run <= runs; run++) {
        const nothing = timed(node, folder)
        if (run > 0) alone.ms.push(nothing.ms)
        if (run > 0) alone.cpu.push(nothing.cpuMs)
        for (const program of bench.programs) {
          const [version, list] = [program.showVersion(), program.list(empty)]
          for (const [command, samples] of [
            [version, of.version],
            [list, of.list],
          ] as const) {
            const { ms, cpuMs } = timed(command, folder)
            if (run > 0) samples.ms.add(program.name, ms)
            if (run > 0) samples.cpu.add(program.name, cpuMs)
          }
        }
      }
      const limit = (samples: number[]) => ({ what: 'node -e 0', samples })
      for (const [work, { ms, cpu }, target] of [
        ['--version', of.version, 50],
        ['list of an empty folder', of.list, 120],
      ] as const) {
        const [time, used] = [limit(alone.ms), limit(alone.cpu)]
        bench.add({ work, figure: 'time', unit: 'ms', samples: ms.all, limit: time, target })
        bench.add({ work, figure: 'CPU', unit: 'ms', samples: cpu.all, limit: used })
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

function timed({ command, args }: Command, home: string): { ms: number; cpuMs: number } {
  const env = { PATH: process.env.PATH ?? '', HOME: home }
  const [startedAt, cpu] = [performance.now(), cpuSecondsOfEndedChildren()]
  const { status } = spawnSync(command, args, { env, cwd: home, stdio: 'ignore' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`)
  const ms = performance.now() - startedAt
  return { ms, cpuMs: (cpuSecondsOfEndedChildren() - cpu) * 1000 }
}
