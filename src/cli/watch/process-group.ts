import { readdirSync, readFileSync } from 'node:fs'

/**
 * Does any process of the group still run? One that has ended and that nobody has waited for does
 * not count: as PID 1 of a container without an init we would wait for those for ever.
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
  // None seen, as where /proc hides the processes of other users: the kernel's answer counts.
  return !found && groupExists(group)
}

/** Nothing if the group has ended, or is not ours to signal. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

/** As `isGroupAlive`, but processes count that have ended and were not waited for. */
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
