// Which layer of a track is the low, the medium or the high one: by the server's ranking of those that are sent, never by
// its number.

const SHARES = { low: 0, medium: 0.5, high: 1 };

/** What can be chosen of so many layers. */
export function choices(count) {
  if (count < 2) return { low: 'Show', hidden: 'Hide' };
  if (count === 2) return { low: 'Low', high: 'High', hidden: 'Hide' };
  return { low: 'Low', medium: 'Medium', high: 'High', hidden: 'Hide' };
}

/** The layer that comes nearest to a choice; `null` to have none, `undefined` if none is sent. */
export function layerFor(choice, { layers, ranking = [] }) {
  if (choice === 'hidden') return null;
  if (layers < 2) return 0;
  return ranking[Math.round(SHARES[choice] * (ranking.length - 1))];
}
