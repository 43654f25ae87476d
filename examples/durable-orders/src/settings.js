/** Where the database and its replica are; `PORT` 0 takes a free one. */
export const { DATABASE = 'orders.db', REPLICA = './replica/orders', PORT = '8080' } = process.env
export const WAIT = { timeoutMs: Number(process.env.WAIT_MS ?? 5000) }
