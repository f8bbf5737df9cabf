import { describe, it } from 'node:test';

import { prove } from './proof.mjs';

prove(describe, it);
