import { parentPort } from 'node:worker_threads'
import { decodeRange, type FrameRange, type RangeSums } from '../ltx/frame-range.ts'
import { PageRun } from './page-run.ts'
import type { DecodeAnswer, DecodeRequest } from './range-pool.ts'

const port = parentPort
if (port === null) throw new Error('decode-worker runs as a worker thread')

port.on('message', ({ fd, range }: DecodeRequest) => {
  const answer: DecodeAnswer = { sums: decode(fd, range), range }
  port.postMessage(answer, [range.frames.buffer])
})

let lastRun: PageRun | undefined

/** `undefined` for anything that goes wrong: whoever asked does the same again, and knows how to report it. */
function decode(fd: number, range: FrameRange): RangeSums | undefined {
  if (lastRun?.pageSize !== range.pageSize) lastRun = new PageRun(range.pageSize)
  const run = lastRun
  run.restart()
  try {
    const pages = decodeRange(range)
    for (;;) {
      const next = pages.next()
      if (next.done === true) {
        run.writeSync(fd)
        return next.value
      }
      const { pgno, data } = next.value
      if (!run.takes(pgno)) run.writeSync(fd)
      run.add(pgno, data)
    }
  } catch {
    return undefined
  }
}
