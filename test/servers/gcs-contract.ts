import { provider } from '../../src/backends/gcs/index.ts'
import type { ContractHarness } from '../../src/testing/harness.ts'
import { httpHarness } from './contract-harness.ts'
import { startFakeGcs } from './fake-gcs.ts'
import { gcsDialect } from './fault-dialects.ts'
import { startFaultProxy } from './fault-proxy.ts'

/**
 * fake-gcs-server with the fault proxy in front. It knows no credentials, so none are refused, and
 * shows no unfinished uploads.
 */
export async function gcsContract(): Promise<{
  readonly harness: ContractHarness
  stop(): Promise<void>
}> {
  const server = await startFakeGcs()
  const proxy = await startFaultProxy(server.url, gcsDialect, {
    async wholeObject({ url }) {
      const answer = await fetch(new URL(url.pathname, server.url))
      const headers = Object.fromEntries(answer.headers)
      return { headers, body: Buffer.from(await answer.arrayBuffer()) }
    },
  })
  const harness = httpHarness({
    name: 'GCS on fake-gcs-server',
    provider,
    backend: 'gcs',
    url: `gs://${server.bucket}`,
    missingUrl: 'gs://walsync-no-such-bucket',
    proxy,
    env: server.env(proxy.url),
    partBytes: 1024 * 1024,
  })
  return {
    harness,
    async stop() {
      await proxy.close()
      await server.stop()
    },
  }
}
