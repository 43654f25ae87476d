import { z } from 'zod'
import { MIN_SQLITE } from '../../core/db/index.ts'
import {
  isStoreError,
  type ObjectStore,
  type ProbeReport,
  probeStore,
  type RaceReport,
  raceCreates,
} from '../../core/store/index.ts'
import { flag, parseFlags, required, settings } from '../args/flags.ts'
import { integer } from '../args/kinds.ts'
import type { CommandContext } from '../command-context.ts'
import { ExitCode } from '../output/exit-code.ts'
import { clockFinding, type Finding, probeFindings, raceFinding } from './doctor-findings.ts'

/** More at once say nothing more about the store, and much about this machine's sockets. */
const MAX_RACERS = 1000

const doctorFlags = z.object({
  bucket: required('bucket'),
  ...settings('region'),
  race: flag(integer(0, MAX_RACERS)),
})

/** The doctor retries only once, which is enough to tell a hiccup from an outage. */
const RETRY = { attempts: 2, totalMs: 20_000, attemptTimeoutMs: 10_000 }

/**
 * `walsync doctor`: is this store fit for use, from here, with these credentials? Writes three tiny
 * objects and removes them; one more for a race.
 *
 * @returns 0 if it is, 4 if not
 */
export async function doctor(
  context: CommandContext,
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { bucket, region, race: writers } = parseFlags(doctorFlags, rawFlags)
  const { signal } = context
  const { store, layout, backend } = await context.openStore(bucket, {
    signal,
    create: false,
    retry: RETRY,
  })
  const findings: Finding[] = [
    ...runtimeFindings(process.versions),
    { name: 'url', status: 'ok', text: `the backend ${backend}, key layout ${layout}` },
    { name: 'store', status: 'ok', text: storeText(store.description, backend, region) },
  ]
  findings.push(...regions(store), await credentials(store, signal))
  const report =
    findings.at(-1)?.status === 'failed' ? undefined : await probe(store, signal, findings)
  const race = report && (await raced(store, writers, signal, findings))
  const fit = findings.every(({ status }) => status !== 'failed')
  const { latencyMs, clockSkewMs, leftBehind } = report ?? {}
  const result = {
    store: store.description,
    backend,
    layout,
    fit,
    findings,
    latencyMs,
    clockSkewMs,
    leftBehind,
    ...(race === undefined ? {} : { race }),
  }
  context.output.result(result, render(findings, fit))
  return fit ? ExitCode.ok : ExitCode.store
}

/** The backend reads the environment and the URL; here is only what the command line says. A folder has no region. */
function storeText(description: string, backend: string, region: string | undefined): string {
  if (backend === 'file') return description
  const where = region === undefined ? 'as the URL or the environment has it' : region
  return `${description}, region ${where}`
}

function regions({ capabilities }: ObjectStore): Finding[] {
  if (capabilities.consistency === 'strong') return []
  const text = 'consistent within one region only: run every writer of a replica in one region'
  return [{ name: 'consistency', status: 'warning', text }]
}

/** A missing permission does not end the probe, which names each of them. */
async function credentials(store: ObjectStore, signal: AbortSignal): Promise<Finding> {
  const name = 'credentials'
  try {
    await store.check({ signal })
    return { name, status: 'ok', text: 'accepted, and the container is there' }
  } catch (error) {
    if (signal.aborted || !isStoreError(error)) throw error
    const { code, message, hint } = error
    const text = hint === undefined ? message : `${message} ${hint}`
    return { name, status: code === 'PermissionDenied' ? 'warning' : 'failed', text }
  }
}

async function probe(
  store: ObjectStore,
  signal: AbortSignal,
  findings: Finding[],
): Promise<ProbeReport | undefined> {
  try {
    const report = await probeStore(store, { signal })
    findings.push(clockFinding(report), ...probeFindings(report))
    return report
  } catch (error) {
    if (signal.aborted || !isStoreError(error)) throw error
    const text = `The probe did not come to its end: ${error.message}`
    findings.push({ name: 'probe', status: 'failed', text })
    return undefined
  }
}

/** Only if requested, and only if the probe completed. */
async function raced(
  store: ObjectStore,
  writers: number,
  signal: AbortSignal,
  findings: Finding[],
): Promise<RaceReport | undefined> {
  if (writers === 0) return undefined
  const report = await raceCreates(store, { writers, signal })
  findings.push(raceFinding(report))
  return report
}

function render(findings: readonly Finding[], fit: boolean): string {
  const width = Math.max(...findings.map(({ name }) => name.length))
  const lines = findings.map(
    ({ name, status, text }) => `${status.padEnd(8)} ${name.padEnd(width)}  ${text}`,
  )
  return [...lines, fit ? 'fit for use' : 'NOT fit for use'].join('\n')
}

/** Before it, two connections that write and checkpoint at once could lose a commit: https://sqlite.org/releaselog/3_51_3.html */
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
