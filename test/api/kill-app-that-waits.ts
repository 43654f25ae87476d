import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type KillReport, killAfterWait } from '../support/kill-after-wait.ts'

const APP = fileURLToPath(new URL('app-that-waits.ts', import.meta.url))

/** The loop of kills with the smallest application that waits. */
export async function killAppThatWaits(kills: number): Promise<KillReport> {
  return await killAfterWait({ kills, table: 't', runUntilKilled })
}

async function runUntilKilled(path: string, url: string, rows: number): Promise<number[]> {
  const app = spawn(process.execPath, [APP, path, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  let walsync = 0
  const safe: number[] = []
  for await (const line of createInterface({ input: app.stdout })) {
    const [word, value] = line.split(' ')
    if (word === 'pid') walsync = Number(value)
    if (word !== 'safe' || safe.push(Number(value)) !== rows) continue
    process.kill(walsync, 'SIGKILL')
    app.kill('SIGKILL')
  }
  if (app.exitCode === null && app.signalCode === null) await once(app, 'exit')
  if (app.signalCode !== 'SIGKILL') throw new Error(`the application ended with ${app.exitCode}`)
  return safe
}
