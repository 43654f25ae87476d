import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { durableWrite } from '../../core/fs/index.ts'
import { UsageError } from '../args/usage-error.ts'
import type { DrillReport } from './drill-report.ts'
import { reportHtml } from './report-html.ts'
import { reportJunit } from './report-junit.ts'

/** For everybody to read, as programs usually write: lowered by the umask. */
const MODE = 0o644

/**
 * Writes a report to each of the files, in the form that its ending asks for. A file is the old one
 * or the complete new one; one that cannot be written does not keep the others from it.
 *
 * @param files with the endings that the kind `reportFile` allows
 * @throws DurableWriteError of the first that could not be written
 */
export async function writeReports(
  report: DrillReport,
  files: readonly string[],
  cwd: string,
): Promise<void> {
  const writes = files.map(async (file) => {
    const text = contents(report, extname(file).toLowerCase())
    await durableWrite(resolve(cwd, file), [Buffer.from(text)], { mode: MODE })
  })
  const failed = (await Promise.allSettled(writes)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

/**
 * Could the files be written? Asked before the work that they report on, which may take hours.
 *
 * @throws UsageError for a folder that is missing or may not be written, or a folder in place of the file
 */
export function assertReportFiles(files: readonly string[], cwd: string): void {
  for (const file of files) {
    const path = resolve(cwd, file)
    const folder = dirname(path)
    const stats = statsOf(folder)
    if (stats?.isDirectory() !== true) {
      const what = stats === undefined ? 'does not exist' : 'is not a folder'
      throw refused(`The folder ${folder} for --report ${what}.`)
    }
    if (statsOf(path)?.isDirectory() === true) throw refused(`${path} for --report is a folder.`)
    if (!mayWrite(folder)) throw refused(`This user may not write to ${folder} for --report.`)
  }
}

/** Undefined for what does not exist or cannot be reached. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function refused(message: string): UsageError {
  return new UsageError(message, 'Check the path, or create the folder first.')
}

function contents(report: DrillReport, ending: string): string {
  if (ending === '.html') return reportHtml(report)
  if (ending === '.xml') return reportJunit(report)
  return `${JSON.stringify(report, undefined, 2)}\n`
}
