import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A real OpenSSH server on a free port, with keys of its own below `base`. It serves the user who runs the test. */
export async function startSshd(base) {
  const keys = ['host', 'client', 'stranger']
  for (const name of keys) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(base, name)])
  }
  writeFileSync(join(base, 'authorized'), readFileSync(join(base, 'client.pub')), { mode: 0o600 })
  const port = await freePort()
  writeFileSync(
    join(base, 'sshd_config'),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${join(base, 'host')}
AuthorizedKeysFile ${join(base, 'authorized')}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 1000
Subsystem sftp internal-sftp
`,
  )
  // sshd of Debian wants this folder to be there; systemd makes it for the installed service.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(base, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log = (log + text).slice(-10_000)
  })
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`sshd ended:\n${log}`)
    await delay(50)
  }
  const print = execFileSync('ssh-keygen', ['-lf', join(base, 'host.pub')], { encoding: 'utf8' })
  return {
    url: `sftp://127.0.0.1:${port}`,
    env: {
      SFTP_USER: userInfo().username,
      SFTP_KEY_FILE: join(base, 'client'),
      SFTP_HOST_KEY: print.split(' ')[1],
    },
    /** A key that the server does not know. */
    strangersKey: join(base, 'stranger'),
    pid: child.pid,
    stop: () => void child.kill('SIGTERM'),
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function answers(port) {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  }).finally(() => socket.destroy())
}
