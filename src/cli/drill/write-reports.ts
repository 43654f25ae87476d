import { extname, resolve } from 'node:path'
import { durableWrite } from '../../core/fs/index.ts'
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

function contents(report: DrillReport, ending: string): string {
  if (ending === '.html') return reportHtml(report)
  if (ending === '.xml') return reportJunit(report)
  return `${JSON.stringify(report, undefined, 2)}\n`
}
