import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { mapParallel } from '../../core/async/map-parallel.ts'
import { outputExists } from '../../core/restore/output-file.ts'
import { restoreReplica } from '../../core/restore/restore.ts'
import { planFor } from '../../core/restore/restore-attempts.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import { planToJson } from '../../core/restore/restore-plan.ts'
import { gradeSentence } from '../../legacy/legacy-grade.ts'
import type { LegacyPlan } from '../../legacy/plan-legacy.ts'
import type { LegacyRestoreOptions } from '../../legacy/restore-legacy.ts'
import { displayName } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { ExitCode, exitCodeOf } from '../output/exit-code.ts'
import { createProgress } from '../output/progress.ts'
import { errorReport } from '../output/report-error.ts'
import { SharedProgress } from '../output/shared-progress.ts'
import { findReplicas } from './find-replicas.ts'
import { MadeFolders } from './made-folders.ts'
import { OtherFormats } from './other-formats.ts'
import type { OtherReplica } from './other-replica.ts'
import { type OutputPath, outputPaths } from './output-paths.ts'
import {
  type DatabaseOutcome,
  exitCodeOfAll,
  refuseSharedFiles,
  restoreAllText,
} from './restore-all-report.ts'
import type { RestoreFlags } from './restore-flags.ts'

/** Databases restored at a time; each reads up to `--parallelism` parts of 2 MiB at a time. */
const DATABASES_AT_ONCE = 4

/**
 * `walsync restore --all`: restores every replica of a store into a folder. A database that cannot be
 * restored does not stop the others, and nothing of it is written.
 *
 * @returns 0, or the exit code of the worst outcome
 * @throws RestoreError `NoReplica` for a store without replicas
 * @throws StoreError if the store cannot be listed; the signal's reason, after the report of what was
 *   restored until then
 */
export async function restoreAll(context: CommandContext, flags: RestoreFlags): Promise<number> {
  const { cwd, output, signal, terminal } = context
  const folder = resolve(cwd, flags.output)
  refuseFile(folder)
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const replicas = await replicasOf(context, flags.bucket, opened)
  const store = opened.store.description
  if (replicas.length === 0) {
    if (flags.ifReplicaExists !== true) throw noReplicas(store)
    const text = `nothing restored: there is no replica in ${store} yet`
    output.result({ store, folder, databases: [] }, text)
    return ExitCode.ok
  }
  const foldsCase = process.platform === 'darwin' || process.platform === 'win32'
  const prefixes = replicas.map(({ prefix }) => prefix)
  const paths = outputPaths(prefixes, { folder, bucket: flags.bucket, cwd, foldsCase })
  const progress = new SharedProgress(createProgress('restore', terminal))
  const parts = replicas.map(() => progress.part())
  // Each counts the same: how many bytes there are in all is known only when the last one is planned.
  for (const part of parts) part(0, 1)
  const run = new RestoreAll(context, flags, opened)
  let outcomes = replicas.map(({ name }): DatabaseOutcome => ({ name, outcome: 'interrupted' }))
  try {
    await mapParallel(replicas, DATABASES_AT_ONCE, async (replica, i) => {
      const part = parts[i] as (done: number, total: number) => void
      outcomes[i] = await run.one(replica, paths[i] as OutputPath, (done) => part(done, 1))
      part(1, 1)
    })
  } finally {
    progress.stop()
    await run.folders.removeEmpty()
    outcomes = refuseSharedFiles(outcomes)
    const report = { store, folder, databases: outcomes }
    output.result(report, restoreAllText(report))
  }
  return exitCodeOfAll(outcomes)
}

interface FoundReplica {
  readonly name: string
  /** Under the URL; of a replica of another format its name. */
  readonly prefix: string
  /** Of another format; `undefined` for one of LTX files. */
  readonly other: OtherReplica | undefined
}

/** Of two with one name, the one of LTX files: as for `restore NAME`. */
async function replicasOf(
  context: CommandContext,
  bucket: string,
  opened: OpenedStore,
): Promise<FoundReplica[]> {
  const { prefixes, others } = await findReplicas(context, bucket, opened)
  const replicas = prefixes.map((prefix): FoundReplica => {
    return { name: displayName(prefix), prefix, other: undefined }
  })
  const names = new Set(replicas.map(({ name }) => name))
  for (const other of others) {
    const { name } = other
    if (names.has(name)) continue
    names.add(name)
    replicas.push({ name, prefix: name === '.' ? '' : name, other })
  }
  return replicas
}

/** What all databases of one run share. */
class RestoreAll {
  readonly folders: MadeFolders
  readonly #context: CommandContext
  readonly #flags: RestoreFlags
  readonly #opened: OpenedStore
  readonly #otherFormats: OtherFormats

  constructor(context: CommandContext, flags: RestoreFlags, opened: OpenedStore) {
    this.folders = new MadeFolders(flags.owner)
    this.#context = context
    this.#flags = flags
    this.#opened = opened
    this.#otherFormats = new OtherFormats(context, flags.bucket, opened)
  }

  /**
   * @param onProgress called with the fraction that is done, from 0 to 1
   * @throws the signal's reason; every other error is an outcome
   */
  async one(
    { name, prefix, other }: FoundReplica,
    { path, error }: OutputPath,
    onProgress: (done: number) => void,
  ): Promise<DatabaseOutcome> {
    const { dryRun, ifMissing, target } = this.#flags
    try {
      if (error !== undefined) throw error
      if (ifMissing === true && (await outputExists(path)))
        return { name, path, outcome: 'present' }
      if (dryRun !== true) await this.folders.make(dirname(path))
      const options = this.#options(onProgress)
      const fromOther = (replica: OtherReplica) => this.#restoreOther(replica, path, options)
      if (other !== undefined) return await fromOther(other)
      return await this.#otherFormats.orOther(
        name,
        () => this.#restoreLtx(name, prefix, path, options),
        fromOther,
        { orEarlier: target.kind === 'time' },
      )
    } catch (cause) {
      this.#context.signal.throwIfAborted()
      const exitCode = exitCodeOf(cause)
      return { name, path, outcome: 'failed', exitCode, error: errorReport(cause) }
    }
  }

  #options(onProgress: (done: number) => void): LegacyRestoreOptions {
    const { force, mode, owner, integrityCheck, parallelism } = this.#flags
    return {
      force,
      mode,
      owner,
      integrityCheck,
      parallelism,
      signal: this.#context.signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        onProgress(bytesTotal === 0 ? 0 : bytesDone / bytesTotal),
    }
  }

  async #restoreLtx(
    name: string,
    prefix: string,
    path: string,
    options: LegacyRestoreOptions,
  ): Promise<DatabaseOutcome> {
    const { dryRun, target } = this.#flags
    const client = replicaClient(this.#opened, prefix)
    if (dryRun === true) {
      const plan = await planFor(client, target, { signal: this.#context.signal })
      const { txid, time, bytes: bytesRead, warnings } = plan
      const { files } = planToJson(plan)
      return { name, path, outcome: 'planned', txid, time, bytesRead, files, warnings }
    }
    const result = await restoreReplica(client, target, path, options)
    const { plan, time, bytes, bytesRead, durationMs, integrityCheck, avoided } = result
    const warnings = [
      ...avoided.map(({ key, reason }) => `the replica needs repair: ${key}: ${reason}`),
      ...result.warnings,
    ]
    return {
      name,
      path,
      outcome: 'restored',
      txid: plan.txid,
      time,
      bytes,
      bytesRead,
      durationMs,
      integrityCheck,
      warnings,
    }
  }

  async #restoreOther(
    replica: OtherReplica,
    path: string,
    options: LegacyRestoreOptions,
  ): Promise<DatabaseOutcome> {
    const { dryRun, target } = this.#flags
    const { name } = replica
    const format = 'walsync-0.1'
    if (dryRun === true) {
      const plan = await replica.plan(target, options)
      const bytesRead = bytesOf(plan)
      return { name, path, outcome: 'planned', format, bytesRead, ...graded(plan) }
    }
    const result = await replica.restoreTo(path, target, options)
    const { bytes, bytesRead, durationMs, integrityCheck } = result
    const { warnings, ...grade } = graded(result.plan)
    return {
      name,
      path,
      outcome: 'restored',
      format,
      ...grade,
      // The file is there, and somebody has to look at it.
      exitCode: result.plan.grade === 'complete' ? ExitCode.ok : ExitCode.integrity,
      bytes,
      bytesRead,
      durationMs,
      integrityCheck,
      warnings: [...warnings, ...result.warnings],
    }
  }
}

function graded({ grade, upTo }: LegacyPlan) {
  return { grade, warnings: grade === 'complete' ? [] : [gradeSentence(grade, upTo)] }
}

function bytesOf({ base, segments }: LegacyPlan): number {
  return segments.reduce((sum, { size }) => sum + size, base?.size ?? 0)
}

function refuseFile(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== false) return
  throw new UsageError(
    `${folder} is not a folder, and --all restores into one.`,
    'Give a folder with --output.',
  )
}

function noReplicas(store: string): RestoreError {
  return new RestoreError('NoReplica', `No databases in ${store}.`, {
    hint: 'Check the URL given with -b.',
  })
}
