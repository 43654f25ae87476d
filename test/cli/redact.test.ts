import { afterAll, describe, expect, it } from 'vitest'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { printable, printableJson } from '../../src/cli/output/format.ts'
import { jsonLine } from '../../src/cli/output/json-line.ts'
import { redact } from '../../src/cli/output/redact.ts'
import { errorReport, errorText } from '../../src/cli/output/report-error.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
afterAll(() => folder.remove())

const SECRET = 'S3cr3tValue0123456789'

/** Each holds the secret in a form in which one has been seen in a message, a URL or a header. */
const CARRIERS = [
  `https://user:${SECRET}@host/path`,
  `https://user:pa/ss@${SECRET}@host/path`,
  `https://${SECRET}@host`,
  `s3://bucket/x?endpoint=https%3A%2F%2Fuser%3A${SECRET}%40host`,
  `https://a.blob.core.windows.net/c/b?sv=2024&sr=b&sig=${SECRET}%2B%3D&se=2030`,
  `https://b.s3.amazonaws.com/k?X-Amz-Algorithm=x&X-Amz-Signature=${SECRET}`,
  `https://b.s3.amazonaws.com/k?x-amz-security-token=${SECRET}&x=1`,
  `https://b.s3.amazonaws.com/k?X-Amz-Credential=${SECRET}/20260101/eu/s3`,
  `https://storage.googleapis.com/b/k?X-Goog-Signature=${SECRET}`,
  `https://host/x?token=${SECRET}#f`,
  `https://host/x?access_token=${SECRET}`,
  `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${SECRET}==;EndpointSuffix=x`,
  `Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=${SECRET}`,
  `BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig=${SECRET}`,
  `Authorization: AWS4-HMAC-SHA256 Credential=AK/x, SignedHeaders=host, Signature=${SECRET}`,
  `Authorization: Bearer ${SECRET}`,
  `aws_secret_access_key = ${SECRET}`,
]

describe('redact', () => {
  it.each(CARRIERS)('takes the secret out of %s', (text) => {
    expect(redact(`before ${text} after`)).not.toContain(SECRET)
    expect(redact(`before ${text} after`)).toMatch(/^before .* after$/)
  })

  it.each([
    's3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu',
    'abs://account@container/prefix',
    'http://host:9000/bucket/key@2',
    'file:///data/a@b/c.db',
    'took over from a writer that had not ended (epoch 3, process 9 on host)',
    'mail user@example.com: the key a:b/c is not there',
  ])('leaves %s as it is', (text) => {
    expect(redact(text)).toBe(text)
  })
})

describe('every output', () => {
  const url = `https://user:${SECRET}@host/x?sig=${SECRET}`
  const error = new UsageError(`The store ${url} failed.`, `look at ${url}`, {
    details: [`x: ${url}`],
    cause: new Error(`inner ${url}`),
  })

  it('errors for people, with their stacks', () => {
    const text = errorText(error, { stack: true })
    expect(text).toContain('inner')
    expect(text).not.toContain(SECRET)
  })

  it('JSON, whatever holds the text', () => {
    const line = jsonLine({ error, report: errorReport(error), list: [{ url }] })
    expect(line).not.toContain(SECRET)
    expect(JSON.parse(line).list[0].url).toBe('https://…@host/x?sig=…')
  })

  it.each(['json', 'pretty'])('the log as %s', async (format) => {
    const program = `
      import { createLogger } from ${JSON.stringify(new URL('../../src/cli/output/logger.ts', import.meta.url).href)}
      const logger = await createLogger({ level: 'debug', format: '${format}' })
      const err = new Error('inner ${url}')
      logger.warn({ err, url: '${url}', key: 'a\\u001b[2J\\u009b\\u202eb\\nerror: forged' }, 'said ${url}\\nerror: forged')`
    const { stderr } = await runNode(program)
    expect(stderr).toContain('said https://…@host')
    expect(stderr).not.toContain(SECRET)
    expect(stderr).not.toMatch(/^error: forged/m)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(stderr).not.toMatch(/[\u001b\u0080-\u009f\u202e]/)
  })

  it.each([[[]], [['--json']], [['--log-level', 'debug']]])('of a command, %j', async (more) => {
    for (const bucket of [
      `s3://u:${SECRET}@bucket`,
      `s3:u:${SECRET}@bucket`,
      `s3://b?endpoint=ftp://u:${SECRET}@h`,
    ]) {
      const args = ['list', '-b', bucket, ...more]
      const { code, stdout, stderr } = await runCli(args, { cwd: folder.path })
      expect(code).toBe(2)
      expect(stderr).toContain('error:')
      expect(stdout + stderr).not.toContain(SECRET)
    }
  })

  it('what the environment holds as a secret', async () => {
    const args = ['list', '-b', `gopher://host/${SECRET}x`, '--json']
    const env = { AWS_SECRET_ACCESS_KEY: SECRET }
    const { stdout, stderr } = await runCli(['restore', SECRET, '-o', 'x.db', ...args.slice(1)], {
      cwd: folder.path,
      env,
    })
    expect(stderr).toContain('error:')
    expect(stdout + stderr).not.toContain(SECRET)
  })
})

describe('control characters', () => {
  const TEXT = 'a\u001b[2J\u007f\u009b31m\u202e\u2066\u2028\r\nb'

  it('are escaped for a terminal', () => {
    expect(printable(TEXT)).toBe('a\\u001b[2J\\u007f\\u009b31m\\u202e\\u2066\\u2028\\u000d\\nb')
  })

  it('are escaped in JSON, which still means the same', () => {
    const json = printableJson(JSON.stringify({ TEXT }))
    expect(json).not.toMatch(/[\p{Cc}\u2028\u202e\u2066]/u)
    expect(JSON.parse(json)).toEqual({ TEXT })
  })
})

async function runNode(program: string) {
  const { spawnSync } = await import('node:child_process')
  return spawnSync(
    process.execPath,
    ['--no-warnings', '--input-type=module-typescript', '-e', program],
    {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, NO_COLOR: '1' },
    },
  )
}
