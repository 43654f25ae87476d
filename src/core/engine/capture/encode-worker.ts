import { parentPort, workerData } from 'node:worker_threads'
import type { PageRange } from '../../db/index.ts'
import { RangeEncoder } from '../../ltx/encoded-range.ts'

const port = parentPort
if (port === null) throw new Error('encode-worker runs as a worker thread')
const encoder = new RangeEncoder(workerData as number)

port.on('message', ({ first, data }: PageRange) => {
  const range = encoder.encode(first, data)
  port.postMessage(range, [range.frames.buffer, range.sizes.buffer, range.sums.buffer])
})
