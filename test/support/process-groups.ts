import { execFileSync } from 'node:child_process'

/** The process groups that were begun below a process. */
export function groupsBelow(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid=,pgid='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const groups: number[] = []
  const visit = (parent: number) => {
    for (const [child = 0, of = 0, group = 0] of rows) {
      if (of !== parent) continue
      if (group === child) groups.push(group)
      visit(child)
    }
  }
  visit(pid)
  return groups
}
