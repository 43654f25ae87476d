import type { Finding } from './doctor-findings.ts'

/** Before it, two connections that write and checkpoint at once could lose a commit: https://sqlite.org/releaselog/3_51_3.html */
const MIN_SQLITE = [3, 51, 3]
const MIN_NODE = [24]

/** Is this Node, and the SQLite in it, fit to replicate? */
export function runtimeFindings(versions: Readonly<Record<string, string | undefined>>): Finding[] {
  return [finding('node', versions.node, MIN_NODE), finding('sqlite', versions.sqlite, MIN_SQLITE)]
}

function finding(name: string, version: string | undefined, least: readonly number[]): Finding {
  if (version !== undefined && isAtLeast(version, least)) {
    return { name, status: 'ok', text: version }
  }
  const text = `${version ?? 'none'}, needed is ${least.join('.')} or newer: install a newer Node`
  return { name, status: 'failed', text }
}

function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map((part) => Number.parseInt(part, 10))
  for (const [i, wanted] of least.entries()) {
    const part = parts[i] ?? 0
    if (part !== wanted) return part > wanted
  }
  return true
}
