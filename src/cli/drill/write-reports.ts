import { extname, resolve } from 'node:path'
import { durableWrite } from '../../core/fs/index.ts'
import type { DrillReport } from './drill-report.ts'
import { reportHtml } from './report-html.ts'
import { reportJunit } from './report-junit.ts'

/** For everybody to read, as programs usually write: lowered by the umask. */
const MODE = 0o644

/**
 * Writes a report to each of the files, in the form that its ending asks for. A file is the old one
 * or the complete new one.
 *
 * @param files with the endings that the kind `reportFile` allows
 * @throws DurableWriteError
 */
export async function writeReports(
  report: DrillReport,
  files: readonly string[],
  cwd: string,
): Promise<void> {
  for (const file of files) {
    const text = contents(report, extname(file).toLowerCase())
    await durableWrite(resolve(cwd, file), [Buffer.from(text)], { mode: MODE })
  }
}

function contents(report: DrillReport, ending: string): string {
  if (ending === '.html') return reportHtml(report)
  if (ending === '.xml') return reportJunit(report)
  return `${JSON.stringify(report, undefined, 2)}\n`
}
