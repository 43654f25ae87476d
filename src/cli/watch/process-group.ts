import { readdirSync, readFileSync } from 'node:fs'

/**
 * Is any process of the group still running? Zombies do not count: as PID 1 of a container without
 * an init process we would wait for them forever.
 */
export function isGroupAlive(group: number): boolean {
  if (!groupExists(group)) return false
  if (process.platform !== 'linux') return true
  let found = false
  for (const { state, group: ofOne } of processes()) {
    if (ofOne !== group) continue
    found = true
    if (state !== 'Z' && state !== 'X') return true
  }
  // None found, for example because /proc hides the processes of other users: ask the kernel.
  return !found && groupExists(group)
}

/** Does nothing if the group has ended, or if we may not signal it. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** Like `isGroupAlive`, but zombies count. */
export function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function* processes(): Generator<{ readonly state: string; readonly group: number }> {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    let stat: string
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1')
    } catch {
      continue
    }
    // `pid (name) state ppid pgrp …`; the name may hold spaces and brackets.
    const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    yield { state, group: Number(group) }
  }
}
