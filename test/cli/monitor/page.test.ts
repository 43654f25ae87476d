import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpServer, serveHttp } from '../../../src/cli/monitor/http-server.ts'
import { Monitor } from '../../../src/cli/monitor/monitor.ts'
import { FakeRun } from './fake-run.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = CHROMIUM.find((path) => existsSync(path))
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
/** Screenshots are left here, to be looked at. */
const SHOTS = process.env.WALSYNC_SCREENSHOTS ?? join(tmpdir(), 'walsync-page')

interface Finding {
  readonly id: string
  readonly impact: string
  readonly nodes: readonly { readonly html: string }[]
}

const isMissing = executablePath === undefined && process.env.CI === undefined

describe.skipIf(isMissing)('the page (needs chromium)', () => {
  let browser: Browser
  let server: HttpServer
  let run: FakeRun

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true })
    run = new FakeRun(1000)
    server = await serveHttp(
      { host: '127.0.0.1', port: 0, token: undefined },
      new Monitor(run.asRun(), '0.2.0'),
    )
    run.emit({ type: 'database-added', database: 'app', path: '/srv/data/app.db' })
    run.emit({
      type: 'snapshot',
      database: 'app',
      txid: 1000n as never,
      bytes: 4e6,
      pages: 9,
      ms: 80,
    })
    run.emit({
      type: 'store-error',
      database: 'tenant-0042',
      during: 'upload',
      error: new Error('<img src=x onerror=alert(1)>'),
      retryInMs: 500,
    })
    run.emit({
      type: 'verified',
      database: 'app',
      verdict: 'good',
      files: 61,
      bytes: 4e6,
      defects: 0,
      ms: 90,
    } as never)
    browser = await chromium.launch({
      executablePath: executablePath ?? '',
      args: ['--no-sandbox'],
    })
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  async function open(width: number, scheme: 'light' | 'dark'): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme: scheme,
      bypassCSP: false,
    })
    const page = await context.newPage()
    const problems: string[] = []
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) {
        problems.push(`asked for ${request.url()}`)
      }
    })
    await page.goto(server.url)
    await page.waitForFunction('document.querySelectorAll(".database").length > 0')
    await page.waitForFunction('document.getElementById("command").textContent !== ""')
    expect(problems).toEqual([])
    return page
  }

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [1440, 'light'],
    [1440, 'dark'],
  ] as const)(
    'has no serious accessibility finding and fits at %d px, %s',
    async (width, scheme) => {
      const page = await open(width, scheme)
      await page.screenshot({ path: join(SHOTS, `page-${width}-${scheme}.png`) })
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      expect(overflow).toBeLessThanOrEqual(0)
      // By the debugger, which the content security policy of the page does not bind.
      await page.evaluate(readFileSync(AXE, 'utf8'))
      const { violations } = (await page.evaluate('axe.run()')) as { violations: Finding[] }
      const serious = violations.filter(
        ({ impact }) => impact === 'serious' || impact === 'critical',
      )
      expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([])
      await page.context().close()
    },
  )

  it('shows trouble first, finds a database, and gives the command for the chosen state', async () => {
    const page = await open(1440, 'light')
    expect(await page.locator('.database').count()).toBe(100)
    expect(await page.locator('.database .name').first().textContent()).toBe('tenant-0042')
    expect(await page.locator('#summary').textContent()).toContain('1000 databases, 10 in trouble')
    await page.locator('#search').fill('tenant-0777')
    expect(await page.locator('.database').count()).toBe(1)
    await page.locator('.database').click()
    // Not by a function that is polled: the content security policy of the page refuses it.
    await page.locator('#detail-title', { hasText: 'tenant-0777' }).waitFor()
    await page.locator('#scrubber').fill('9')
    expect(await page.locator('#command').textContent()).toBe(
      'walsync restore tenant-0777 -b s3://backups -o restored.db --txid 10',
    )
    expect(await page.locator('#plan').textContent()).toMatch(/^Reads 10 objects, 4.1 MB; about /)
    // What others wrote is text, and never markup.
    expect(await page.locator('#events').textContent()).toContain('<img src=x onerror=alert(1)>')
    expect(await page.locator('#events img').count()).toBe(0)
    expect(await page.locator('#verifications').textContent()).toContain('app: good, 61 files')
    expect(await page.locator('#drills').textContent()).toContain(
      'app: passed, 4.0 MB restored in 1.5 s, nothing was missing',
    )
    await page.context().close()
  })

  it('keeps the prices that its user sets', async () => {
    const page = await open(1440, 'light')
    const put = page.getByLabel('Dollars per million put requests')
    await put.fill('4.3')
    await put.blur()
    await page.reload()
    await put.waitFor()
    expect(await put.inputValue()).toBe('4.3')
    await page.context().close()
  })
})
