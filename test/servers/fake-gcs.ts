import { requireServer } from './server-path.ts'
import { type ServerProcess, startServer } from './server-process.ts'

export interface GcsServer extends ServerProcess {
  /** A bucket that exists. */
  readonly bucket: string
  /** What a client of this server needs in its environment, for this endpoint or a proxy in front of it. */
  env(endpoint?: string): Record<string, string>
}

const BUCKET = 'walsync-test-bucket'

/** fake-gcs-server with objects in memory, as people start it: its public host is Google's, not this one. */
export async function startFakeGcs(): Promise<GcsServer> {
  const program = requireServer('fake-gcs-server')
  const server = await startServer((port) => ({
    command: program,
    args: [
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...['-backend', 'memory', '-log-level', 'error'],
    ],
  }))
  const answer = await fetch(`${server.url}/storage/v1/b?project=walsync`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: BUCKET }),
  })
  if (!answer.ok) throw new Error(`fake-gcs-server makes no bucket: ${await answer.text()}`)
  return {
    ...server,
    bucket: BUCKET,
    env: (endpoint = server.url) => ({ STORAGE_EMULATOR_HOST: endpoint }),
  }
}
