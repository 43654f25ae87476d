import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DefaultTheme, defineConfig } from 'vitepress'

const docs = fileURLToPath(new URL('../', import.meta.url))
const root = dirname(resolve(docs))
const { homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** Where a browser sees the repository: `homepage` of package.json, without its anchor. */
const repository = homepage.replace(/#.*$/, '')

/** Wide tables scroll; on a phone their cells are smaller so that less of them has to. */
const NARROW_TABLES =
  '@media (max-width: 640px) { .vp-doc td, .vp-doc th { padding: 6px 8px; font-size: 13px } }'

export default defineConfig({
  title: 'walsync',
  description: 'Replicates live SQLite databases to object storage and restores them.',
  outDir: join(root, '.site'),
  cacheDir: join(root, '.cache/vitepress'),
  cleanUrls: true,
  head: [['style', {}, NARROW_TABLES]],
  themeConfig: {
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Guides', link: '/guides/' },
      { text: 'Reference', link: '/reference/cli' },
      { text: 'On call', link: '/on-call' },
    ],
    sidebar: [
      { text: 'Start', link: '/start' },
      section('Guides', 'guides'),
      section('Backends', 'backends'),
      section('Reference', 'reference'),
      section('Explanation', 'explanation'),
      { text: 'On call', link: '/on-call' },
      { text: 'Glossary', link: '/glossary' },
      section('Decisions', 'decisions', true),
    ],
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
  },
  markdown: {
    config(md) {
      md.core.ruler.push('links-out-of-docs', ({ tokens, env }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          // `<n>` in a generated table is a placeholder and no tag.
          if (token.type === 'html_inline' && /^<[a-z]+>$/.test(token.content)) token.type = 'text'
          const href = token.attrGet('href')
          if (href === null || /^(\w+:|#|\/)/.test(href)) continue
          token.attrSet('href', siteLink(dirname(join(docs, env.relativePath)), href))
        }
      })
    },
  },
})

/** Links that leave docs/ lead to the repository; a folder in docs/ to its index. */
function siteLink(from: string, href: string): string {
  const target = join(from, href)
  const path = relative(docs, target)
  if (!path.startsWith('..')) return href
  if (!existsSync(target.replace(/#.*$/, ''))) throw new Error(`dead link: ${href} in ${from}`)
  return `${repository}/blob/main/${relative(root, target)}`
}

/** Every page of a folder, under its own heading, in the order of its index page. */
function section(text: string, folder: string, collapsed = false): DefaultTheme.SidebarItem {
  const index = readFileSync(join(docs, folder, 'index.md'), 'utf8')
  const names = [...index.matchAll(/\]\((?:\.\/)?([\w-]+)\.md\)/g)].map(([, name]) => name ?? '')
  const items = [...new Set(names)].map((name) => {
    const page = readFileSync(join(docs, folder, `${name}.md`), 'utf8')
    return { text: /^# (.*)$/m.exec(page)?.[1] ?? name, link: `/${folder}/${name}` }
  })
  return { text, link: `/${folder}/`, items, collapsed }
}
