import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkAssertions } from '../../../src/core/drill/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync assertions '))
const path = join(folder, 'restored.db')
let before: Buffer

beforeAll(() => {
  const database = new DatabaseSync(path)
  database.exec(`
    PRAGMA journal_mode = wal;
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO users (name) VALUES ('ann'), ('bob');
    CREATE VIRTUAL TABLE notes USING fts5(text);
    INSERT INTO notes VALUES ('hello world');
    CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
    INSERT INTO boxes VALUES (1, 0, 5);
  `)
  database.close()
  before = readFileSync(path)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** All in one process: a process each would take most of the time. */
async function ask(...statements: string[]) {
  const results = await checkAssertions(path, statements)
  return results.map(({ sql, passed, value, error }) => [sql, passed, value ?? error])
}

describe('checkAssertions', () => {
  it('passes what is true as in a WHERE', async () => {
    const expected = [
      ['SELECT count(*) > 0 FROM users', true, '1'],
      ['SELECT 0.5', true, '0.5'],
      ["SELECT '12 monkeys'", true, "'12 monkeys'"],
      ['SELECT 9223372036854775807', true, '9223372036854775807'],
      ['WITH two AS (SELECT 2 AS n) SELECT n FROM two; -- that is all', true, '2'],
      ['SELECT count(*) = 0 FROM pragma_foreign_key_check', true, '1'],
      ['PRAGMA user_version', false, '0'],
      ["SELECT count(*) = 1 FROM notes WHERE notes MATCH 'world'", true, '1'],
      ['SELECT count(*) = 1 FROM boxes WHERE x0 < 3 AND x1 > 3', true, '1'],
      ['SELECT count(*) > 5 FROM users', false, '0'],
      ['SELECT NULL', false, 'NULL'],
      ['SELECT name FROM users WHERE id = 1', false, "'ann'"],
      ['SELECT max(id) FROM users WHERE id > 9', false, 'NULL'],
      ["SELECT printf('%.1000c', 'x')", false, `'${'x'.repeat(199)}`],
    ] as const
    expect(await ask(...expected.map(([sql]) => sql))).toEqual(expected)
  })

  it('says why a statement has no such value', async () => {
    const expected = [
      ['SELECT count(*) FROM customers', false, 'no such table: customers'],
      ['SELEC 1', false, 'near "SELEC": syntax error'],
      ['-- nothing', false, 'The SQL query contains no statements.'],
      ['SELECT 1, 2', false, 'an assertion gives one column, not 2'],
      ['SELECT 1 FROM users', false, 'an assertion gives one row, not several'],
      ['SELECT 1 FROM users WHERE id = 9', false, 'an assertion gives one row, not none'],
      ['SELECT 1; SELECT 0', false, 'an assertion is one statement, and more text follows it'],
    ] as const
    expect(await ask(...expected.map(([sql]) => sql))).toEqual(expected)
  })

  it('refuses everything but reading, and nothing changes', async () => {
    const other = join(folder, 'other.db')
    const results = await ask(
      "INSERT INTO users (name) VALUES ('eve') RETURNING 1",
      'DELETE FROM users RETURNING 1',
      'DROP TABLE users',
      'CREATE TEMP TABLE t (x)',
      `ATTACH '${other}' AS other`,
      `VACUUM INTO '${other}'`,
      "SELECT load_extension('evil')",
      'PRAGMA journal_mode = delete',
      'PRAGMA writable_schema = on',
      `PRAGMA temp_store_directory = '${folder}'`,
    )
    const refused = expect.stringMatching(
      /^an assertion (may only read \(|gives one column, not 0)/,
    )
    expect(results).toEqual(results.map(([sql]) => [sql, false, refused]))
    expect(existsSync(other)).toBe(false)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(folder)).toEqual(['restored.db'])
  })

  const ENDLESS =
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'

  it('ends a statement that takes too long, and runs the next ones', async () => {
    const results = await checkAssertions(path, ['SELECT 2', ENDLESS, 'SELECT 3'], {
      timeoutMs: 5000,
    })
    expect(results).toMatchObject([
      { passed: true, value: '2' },
      { passed: false, error: 'no answer within 5 s' },
      { passed: true, value: '3' },
    ])
  }, 30_000)

  it('ends immediately when it is aborted', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const asked = checkAssertions(path, [ENDLESS], { signal: controller.signal })
    controller.abort(reason)
    await expect(asked).rejects.toBe(reason)
  })

  it('asks nothing without a statement', async () => {
    expect(await checkAssertions('/does/not/exist', [])).toEqual([])
  })
})
