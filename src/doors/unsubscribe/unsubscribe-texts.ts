// What the page to unsubscribe says, in the languages that pages speak. Short sentences without the person's name, without
// gender where the language lets us, and without a word that could be taken for "are you sure you want to miss this".
// `LIST` stands for the list's name.

import type { Language } from "../pages/languages.ts";

export interface UnsubscribeTexts {
  readonly title: string;
  readonly ask: string;
  readonly askAll: string;
  readonly button: string;
  readonly doneTitle: string;
  readonly done: string;
  readonly doneAll: string;
  /** Mail that was handed over before. */
  readonly late: string;
  readonly allButton: string;
  readonly tooOld: string;
}

export const UNSUBSCRIBE_TEXTS: Readonly<Record<Language, UnsubscribeTexts>> = {
  en: {
    title: "Unsubscribe",
    ask: "Do you no longer want mail from the list “LIST”?",
    askAll: "Do you no longer want newsletters from us?",
    button: "Unsubscribe",
    doneTitle: "You are unsubscribed",
    done: "You will get no more mail from the list “LIST”.",
    doneAll: "You will get no more newsletters from us.",
    late: "Mail that is already on its way may still arrive.",
    allButton: "Unsubscribe from all newsletters",
    tooOld: "The link is too old. Nothing was changed. Please use the link in a newer mail.",
  },
  de: {
    title: "Abmelden",
    ask: "Möchten Sie keine E-Mails der Liste „LIST“ mehr bekommen?",
    askAll: "Möchten Sie keine Newsletter mehr von uns bekommen?",
    button: "Abmelden",
    doneTitle: "Sie sind abgemeldet",
    done: "Sie bekommen keine E-Mails der Liste „LIST“ mehr.",
    doneAll: "Sie bekommen keine Newsletter mehr von uns.",
    late: "E-Mails, die schon unterwegs sind, können noch ankommen.",
    allButton: "Von allen Newslettern abmelden",
    tooOld: "Der Link ist zu alt. Es wurde nichts geändert. Bitte benutzen Sie den Link in einer neueren E-Mail.",
  },
  fr: {
    title: "Se désabonner",
    ask: "Ne souhaitez-vous plus recevoir les e-mails de la liste «\u00a0LIST\u00a0»\u00a0?",
    askAll: "Ne souhaitez-vous plus recevoir nos newsletters\u00a0?",
    button: "Se désabonner",
    doneTitle: "Désabonnement effectué",
    done: "Vous ne recevrez plus d’e-mails de la liste «\u00a0LIST\u00a0».",
    doneAll: "Vous ne recevrez plus nos newsletters.",
    late: "Des e-mails déjà en route peuvent encore arriver.",
    allButton: "Se désabonner de toutes les newsletters",
    tooOld: "Le lien est trop ancien. Rien n’a été modifié. Veuillez utiliser le lien d’un e-mail plus récent.",
  },
  es: {
    title: "Darse de baja",
    ask: "¿Ya no desea recibir correos de la lista «LIST»?",
    askAll: "¿Ya no desea recibir nuestros boletines?",
    button: "Darse de baja",
    doneTitle: "Baja confirmada",
    done: "No recibirá más correos de la lista «LIST».",
    doneAll: "No recibirá más boletines nuestros.",
    late: "Los correos que ya están en camino aún pueden llegar.",
    allButton: "Darse de baja de todos los boletines",
    tooOld: "El enlace es demasiado antiguo. No se ha cambiado nada. Use el enlace de un correo más reciente.",
  },
  it: {
    title: "Annulla l’iscrizione",
    ask: "Non desidera più ricevere le e-mail della lista «LIST»?",
    askAll: "Non desidera più ricevere le nostre newsletter?",
    button: "Annulla l’iscrizione",
    doneTitle: "Iscrizione annullata",
    done: "Non riceverà più e-mail dalla lista «LIST».",
    doneAll: "Non riceverà più le nostre newsletter.",
    late: "Le e-mail già in viaggio potrebbero ancora arrivare.",
    allButton: "Annulla l’iscrizione a tutte le newsletter",
    tooOld: "Il link è troppo vecchio. Non è stato modificato nulla. Usi il link di un’e-mail più recente.",
  },
  pt: {
    title: "Cancelar a subscrição",
    ask: "Já não deseja receber e-mails da lista “LIST”?",
    askAll: "Já não deseja receber as nossas newsletters?",
    button: "Cancelar a subscrição",
    doneTitle: "Subscrição cancelada",
    done: "Não receberá mais e-mails da lista “LIST”.",
    doneAll: "Não receberá mais as nossas newsletters.",
    late: "Os e-mails que já estão a caminho ainda podem chegar.",
    allButton: "Cancelar todas as newsletters",
    tooOld: "O link é demasiado antigo. Nada foi alterado. Use o link de um e-mail mais recente.",
  },
  nl: {
    title: "Afmelden",
    ask: "Wilt u geen e-mails van de lijst ‘LIST’ meer ontvangen?",
    askAll: "Wilt u geen nieuwsbrieven meer van ons ontvangen?",
    button: "Afmelden",
    doneTitle: "U bent afgemeld",
    done: "U ontvangt geen e-mails van de lijst ‘LIST’ meer.",
    doneAll: "U ontvangt geen nieuwsbrieven meer van ons.",
    late: "E-mails die al onderweg zijn, kunnen nog aankomen.",
    allButton: "Afmelden voor alle nieuwsbrieven",
    tooOld: "De link is te oud. Er is niets gewijzigd. Gebruik de link in een nieuwere e-mail.",
  },
  pl: {
    title: "Rezygnacja z subskrypcji",
    ask: "Nie chcesz już otrzymywać wiadomości z listy „LIST”?",
    askAll: "Nie chcesz już otrzymywać naszych newsletterów?",
    button: "Zrezygnuj",
    doneTitle: "Subskrypcja została anulowana",
    done: "Nie będziesz już otrzymywać wiadomości z listy „LIST”.",
    doneAll: "Nie będziesz już otrzymywać naszych newsletterów.",
    late: "Wiadomości, które są już w drodze, mogą jeszcze dotrzeć.",
    allButton: "Zrezygnuj ze wszystkich newsletterów",
    tooOld: "Link jest zbyt stary. Nic nie zostało zmienione. Użyj linku z nowszej wiadomości.",
  },
  sv: {
    title: "Avsluta prenumerationen",
    ask: "Vill du inte längre få e-post från listan ”LIST”?",
    askAll: "Vill du inte längre få våra nyhetsbrev?",
    button: "Avsluta prenumerationen",
    doneTitle: "Prenumerationen är avslutad",
    done: "Du får ingen mer e-post från listan ”LIST”.",
    doneAll: "Du får inga fler nyhetsbrev från oss.",
    late: "E-post som redan är på väg kan fortfarande komma fram.",
    allButton: "Avsluta alla nyhetsbrev",
    tooOld: "Länken är för gammal. Inget har ändrats. Använd länken i ett nyare mejl.",
  },
  da: {
    title: "Afmeld",
    ask: "Vil du ikke længere modtage mails fra listen »LIST«?",
    askAll: "Vil du ikke længere modtage vores nyhedsbreve?",
    button: "Afmeld",
    doneTitle: "Du er afmeldt",
    done: "Du modtager ikke flere mails fra listen »LIST«.",
    doneAll: "Du modtager ikke flere nyhedsbreve fra os.",
    late: "Mails, der allerede er på vej, kan stadig nå frem.",
    allButton: "Afmeld alle nyhedsbreve",
    tooOld: "Linket er for gammelt. Intet er ændret. Brug linket i en nyere mail.",
  },
  cs: {
    title: "Odhlášení odběru",
    ask: "Nechcete už dostávat e-maily ze seznamu „LIST“?",
    askAll: "Nechcete už dostávat naše newslettery?",
    button: "Odhlásit odběr",
    doneTitle: "Odběr byl odhlášen",
    done: "E-maily ze seznamu „LIST“ už nebudete dostávat.",
    doneAll: "Naše newslettery už nebudete dostávat.",
    late: "E-maily, které jsou už na cestě, mohou ještě dorazit.",
    allButton: "Odhlásit všechny newslettery",
    tooOld: "Odkaz je příliš starý. Nic se nezměnilo. Použijte prosím odkaz v novějším e-mailu.",
  },
  ja: {
    title: "配信停止",
    ask: "リスト「LIST」からのメールの配信を停止しますか？",
    askAll: "メールマガジンの配信を停止しますか？",
    button: "配信を停止する",
    doneTitle: "配信を停止しました",
    done: "今後、リスト「LIST」からのメールは届きません。",
    doneAll: "今後、メールマガジンは届きません。",
    late: "すでに送信されたメールは届く場合があります。",
    allButton: "すべてのメールマガジンの配信を停止する",
    tooOld: "リンクの有効期限が切れています。何も変更されていません。新しいメールのリンクをご利用ください。",
  },
  ar: {
    title: "إلغاء الاشتراك",
    ask: "ألا ترغب في تلقي رسائل من القائمة «LIST» بعد الآن؟",
    askAll: "ألا ترغب في تلقي نشراتنا الإخبارية بعد الآن؟",
    button: "إلغاء الاشتراك",
    doneTitle: "تم إلغاء الاشتراك",
    done: "لن تصلك رسائل أخرى من القائمة «LIST».",
    doneAll: "لن تصلك نشراتنا الإخبارية بعد الآن.",
    late: "قد تصلك رسائل أُرسلت بالفعل.",
    allButton: "إلغاء الاشتراك في جميع النشرات الإخبارية",
    tooOld: "الرابط قديم جدًا. لم يتغير أي شيء. يُرجى استخدام الرابط الموجود في رسالة أحدث.",
  },
};
