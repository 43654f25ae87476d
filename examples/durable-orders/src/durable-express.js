import { durability } from './durability.js'

// #region middleware
/** Express: `app.post('/orders', durable(replica, { timeoutMs: 500 }), handler)` */
export const durable = (replica, policy) => (_request, response, next) => {
  const end = response.end.bind(response)
  response.end = (...args) => {
    response.end = end
    if (response.statusCode >= 400) return end(...args)
    durability(replica, policy)
      .then((status) => {
        response.status(status ?? response.statusCode)
        if (status !== 503) return end(...args)
        response.json({ error: 'The order is not safe yet. Try again.' })
      })
      // Express cuts off an answer that has already begun.
      .catch(next)
    return response
  }
  next()
}
// #endregion
