import { type DatabaseView, type PageImage, readView, type SourceDatabase } from '../../db/index.ts'
import { lockPage } from '../../ltx/index.ts'
import type { ReplicaWriter } from './replica-writer.ts'

/**
 * Queues a file that changes nothing: page 1 as it is. It takes the slot that an older writer would
 * take next, and a later start can resume from its header as from any other. All of the WAL that is
 * under the read mark must have been captured.
 */
export async function queueFence(writer: ReplicaWriter, source: SourceDatabase): Promise<void> {
  const view = await source.capture.view()
  writer.queuePages(source, view, [firstPage(source, view)])
}

/** A copy: the bytes of a view are good until the next page. */
function firstPage(source: SourceDatabase, view: DatabaseView): PageImage {
  for (const { pgno, data } of readView(source, view, lockPage(source.pageSize))) {
    return { pgno, data: data.slice() }
  }
  throw new TypeError('a replica that was resumed has at least one page')
}
