// Preloaded into the built CLI where a test lets requests hang: no flag sets the time after which an
// attempt counts as failed, and with its 30 s each hang would cost more than the test may last. Only
// that default is replaced; what then happens is the program's own doing.
import { registerHooks } from 'node:module'

const ms = Number(process.env.WALSYNC_TEST_ATTEMPT_MS)
if (!(ms > 0)) throw new Error('WALSYNC_TEST_ATTEMPT_MS is not set')

let isReplaced = false
process.on('exit', () => {
  if (isReplaced) return
  console.error('no module of the program has an attempt timeout of 30 s any more')
  process.exitCode = 70
})

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.startsWith('file:') || url.includes('/node_modules/')) return loaded
    const before = String(loaded.source)
    const source = before.replace(/(attemptTimeoutMs \?\? )3e4\b/, `$1${ms}`)
    isReplaced ||= source !== before
    return { ...loaded, source }
  },
})
